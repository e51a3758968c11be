// The operations of elements.h and tiles.h as CUDA kernels. Elements are visited in memory order, 16 bytes per thread where
// they are aligned, so that adjacent threads read and write adjacent bytes in any layout.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "interface.h"

namespace topdis {

template <>
struct Number<__half> {
  using type = float;
  static TOPDIS_ELEMENT float load(__half value) { return __half2float(value); }
  static TOPDIS_ELEMENT __half store(float value) { return __float2half_rn(value); }
};

template <>
struct Number<__nv_bfloat16> {
  using type = float;
  static TOPDIS_ELEMENT float load(__nv_bfloat16 value) { return __bfloat162float(value); }
  static TOPDIS_ELEMENT __nv_bfloat16 store(float value) { return __float2bfloat16_rn(value); }
};

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 1 << 20;
constexpr int64_t kNarrow = int64_t(1) << 31;

inline unsigned int blocks_for(int64_t count) {
  int64_t blocks = (count + kThreads - 1) / kThreads;
  return static_cast<unsigned int>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
}

#define TOPDIS_FOR_EACH(index, count)                                              \
  for (int64_t index = blockIdx.x * int64_t(kThreads) + threadIdx.x; index < count; \
       index += int64_t(gridDim.x) * kThreads)

template <typename T, int V, typename Index, bool kSmooth>
__global__ void bias_act_kernel(const T* __restrict__ x, const Real<T>* __restrict__ scale,
                                const Real<T>* __restrict__ noise, const Real<T>* __restrict__ bias,
                                T* __restrict__ y, int64_t count, Layout layout, Activation form) {
  TOPDIS_FOR_EACH(index, count / V) {
    bias_act<T, V, Index, kSmooth>(x, scale, noise, bias, y, Index(index * V), layout, form);
  }
}

template <typename T, int V, bool kSmooth>
__global__ void bias_act_gradient_kernel(const T* __restrict__ dy, const T* __restrict__ at, T* __restrict__ dx,
                                         int64_t count, Activation form, int order) {
  TOPDIS_FOR_EACH(index, count / V) { bias_act_gradient<T, V, kSmooth>(dy, at, dx, index * V, form, order); }
}

// kUp, kDown and kTaps are compile-time constants for common forms, so that loops unroll, and 0 for other forms.
template <typename T, int kUp, int kDown, int kTaps>
__global__ void upfirdn2d_kernel(const T* __restrict__ x, const float* __restrict__ filter, T* __restrict__ y,
                                 int64_t count, Images in, Images out, Resampling form) {
  if (kUp > 0) form.up = kUp, form.down = kDown, form.taps_x = kTaps, form.taps_y = kTaps;
  TOPDIS_FOR_EACH(index, count) {
    Place at = count < kNarrow ? place_of<uint32_t>(uint32_t(index), out) : place_of<int64_t>(index, out);
    y[index] = upfirdn2d<T>(x, in, filter, form, at.sample, at.channel, at.row, at.column);
  }
}

// One block per tile. Every thread of a block takes each branch, so that all of them meet at the barriers.
template <typename T, typename Tile>
__global__ void upfirdn2d_tile_kernel(const T* __restrict__ x, Taps taps, T* __restrict__ y, int64_t num_tiles,
                                      Images in, Images out, Resampling form) {
  __shared__ Tile tile;
  int worker = static_cast<int>(threadIdx.x);
  for (int64_t index = blockIdx.x; index < num_tiles; index += gridDim.x) {
    Place place = tile_place<Tile>(index, out);
    load_tile(tile, x, in, form, place, worker, kThreads);
    __syncthreads();
    filter_rows(tile, taps, form, place, worker, kThreads);
    __syncthreads();
    filter_columns(tile, taps, y, out, form, place, worker, kThreads);
    __syncthreads();
  }
}

template <typename T, bool kSmooth>
int launch_bias_act_of(const void* x, const void* scale, const void* noise, const void* bias, void* y, int64_t count,
                       const Layout& layout, const Activation& form, cudaStream_t stream) {
  bool packed = fits_packs<T>(count, layout, x, y);
  auto kernel = bias_act_kernel<T, 1, int64_t, kSmooth>;
  if (packed) kernel = bias_act_kernel<T, kPacked<T>, int64_t, kSmooth>;
  if (packed && count < kNarrow) kernel = bias_act_kernel<T, kPacked<T>, uint32_t, kSmooth>;
  if (!packed && count < kNarrow) kernel = bias_act_kernel<T, 1, uint32_t, kSmooth>;
  kernel<<<blocks_for(packed ? count / kPacked<T> : count), kThreads, 0, stream>>>(
      static_cast<const T*>(x), static_cast<const Real<T>*>(scale), static_cast<const Real<T>*>(noise),
      static_cast<const Real<T>*>(bias), static_cast<T*>(y), count, layout, form);
  return cudaGetLastError();
}

template <typename T>
int launch_bias_act(const void* x, const void* scale, const void* noise, const void* bias, void* y, int64_t count,
                    const Layout& layout, const Activation& form, cudaStream_t stream) {
  auto launch = form.function == kLeaky ? launch_bias_act_of<T, false> : launch_bias_act_of<T, true>;
  return launch(x, scale, noise, bias, y, count, layout, form, stream);
}

template <typename T>
int launch_gradient(const void* dy, const void* at, void* dx, int64_t count, const Activation& form, int order,
                    cudaStream_t stream) {
  Layout line{1, count, 0, 0};
  bool packed = fits_packs<T>(count, line, dy, at) && fits_packs<T>(count, line, dx, dx);
  auto kernel = packed ? bias_act_gradient_kernel<T, kPacked<T>, false> : bias_act_gradient_kernel<T, 1, false>;
  if (form.function != kLeaky) {
    kernel = packed ? bias_act_gradient_kernel<T, kPacked<T>, true> : bias_act_gradient_kernel<T, 1, true>;
  }
  kernel<<<blocks_for(packed ? count / kPacked<T> : count), kThreads, 0, stream>>>(
      static_cast<const T*>(dy), static_cast<const T*>(at), static_cast<T*>(dx), count, form, order);
  return cudaGetLastError();
}

template <typename T, typename Tile>
int launch_tiles(const void* x, const Taps& taps, void* y, const Images& in, const Images& out,
                 const Resampling& form, cudaStream_t stream) {
  int64_t num_tiles = count_tiles<Tile>(out);
  unsigned int blocks = static_cast<unsigned int>(num_tiles < kMaxBlocks ? num_tiles : kMaxBlocks);
  upfirdn2d_tile_kernel<T, Tile><<<blocks, kThreads, 0, stream>>>(static_cast<const T*>(x), taps, static_cast<T*>(y),
                                                                  num_tiles, in, out, form);
  return cudaGetLastError();
}

template <typename T>
int launch_separable(const void* x, const Taps& taps, void* y, const Images& in, const Images& out,
                     const Resampling& form, cudaStream_t stream) {
  bool last = out.stride[1] == 1 && in.stride[1] == 1;
  auto launch = last ? launch_tiles<T, Tile<1, 1, true>> : launch_tiles<T, Tile<1, 1, false>>;
  if (form.up == 2) launch = last ? launch_tiles<T, Tile<2, 1, true>> : launch_tiles<T, Tile<2, 1, false>>;
  if (form.down == 2) launch = last ? launch_tiles<T, Tile<1, 2, true>> : launch_tiles<T, Tile<1, 2, false>>;
  return launch(x, taps, y, in, out, form, stream);
}

template <typename T>
int launch_upfirdn2d(const void* x, const float* filter, void* y, const Images& in, const Images& out,
                     const Resampling& form, cudaStream_t stream) {
  int64_t count = out.batch * out.channels * out.height * out.width;
  bool four = form.taps_x == 4 && form.taps_y == 4;
  auto kernel = upfirdn2d_kernel<T, 0, 0, 0>;
  if (four && form.up == 1 && form.down == 1) kernel = upfirdn2d_kernel<T, 1, 1, 4>;
  if (four && form.up == 2 && form.down == 1) kernel = upfirdn2d_kernel<T, 2, 1, 4>;
  if (four && form.up == 1 && form.down == 2) kernel = upfirdn2d_kernel<T, 1, 2, 4>;
  kernel<<<blocks_for(count), kThreads, 0, stream>>>(static_cast<const T*>(x), filter, static_cast<T*>(y), count, in,
                                                     out, form);
  return cudaGetLastError();
}

}  // namespace topdis

#define TOPDIS_BY_TYPE(call, ...)                       \
  switch (type) {                                       \
    case 0: return topdis::call<float>(__VA_ARGS__);    \
    case 1: return topdis::call<__half>(__VA_ARGS__);   \
    case 2: return topdis::call<__nv_bfloat16>(__VA_ARGS__); \
    case 3: return topdis::call<double>(__VA_ARGS__);   \
    default: return cudaErrorInvalidValue;              \
  }

const char* topdis_error_text(int code) { return cudaGetErrorString(static_cast<cudaError_t>(code)); }

int topdis_bias_act(const void* x, const void* scale, const void* noise, const void* bias, void* y, int type,
                    int64_t count, const topdis::Layout* layout, const topdis::Activation* form, void* stream) {
  TOPDIS_BY_TYPE(launch_bias_act, x, scale, noise, bias, y, count, *layout, *form, static_cast<cudaStream_t>(stream))
}

int topdis_bias_act_gradient(const void* dy, const void* at, void* dx, int type, int64_t count,
                             const topdis::Activation* form, int order, void* stream) {
  TOPDIS_BY_TYPE(launch_gradient, dy, at, dx, count, *form, order, static_cast<cudaStream_t>(stream))
}

int topdis_upfirdn2d(const void* x, const float* filter, void* y, int type, const topdis::Images* in,
                     const topdis::Images* out, const topdis::Resampling* form, void* stream) {
  TOPDIS_BY_TYPE(launch_upfirdn2d, x, filter, y, *in, *out, *form, static_cast<cudaStream_t>(stream))
}

int topdis_upfirdn2d_separable(const void* x, const topdis::Taps* taps, void* y, int type, const topdis::Images* in,
                               const topdis::Images* out, const topdis::Resampling* form, void* stream) {
  if (type == 3 || form->up * form->down > 2) return cudaErrorInvalidValue;
  TOPDIS_BY_TYPE(launch_separable, x, *taps, y, *in, *out, *form, static_cast<cudaStream_t>(stream))
}
