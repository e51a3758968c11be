// The operations of elements.h as CUDA kernels: one thread per element, in memory order, so that adjacent
// threads read and write adjacent bytes in any layout.

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

template <typename T>
__global__ void bias_act_kernel(const T* x, const T* bias, T* y, int64_t count, int64_t channel_step,
                                int64_t num_channels, Activation form) {
  TOPDIS_FOR_EACH(index, count) {
    T shift = Number<T>::store(0);
    if (bias != nullptr) {
      shift = count < kNarrow ? bias[channel_of<uint32_t>(uint32_t(index), channel_step, num_channels)]
                              : bias[channel_of<int64_t>(index, channel_step, num_channels)];
    }
    y[index] = bias_act<T>(x[index], shift, form);
  }
}

template <typename T>
__global__ void bias_act_gradient_kernel(const T* dy, const T* y, T* dx, int64_t count, Activation form) {
  TOPDIS_FOR_EACH(index, count) { dx[index] = bias_act_gradient<T>(dy[index], y[index], form); }
}

// kUp, kDown and kTaps are compile-time constants for common forms, so that loops unroll, and 0 for other forms.
template <typename T, int kUp, int kDown, int kTaps>
__global__ void upfirdn2d_kernel(const T* x, const float* filter, T* y, int64_t count, Images in, Images out,
                                 Resampling form) {
  if (kUp > 0) form.up = kUp, form.down = kDown, form.taps_x = kTaps, form.taps_y = kTaps;
  TOPDIS_FOR_EACH(index, count) {
    Place at = count < kNarrow ? place_of<uint32_t>(uint32_t(index), out) : place_of<int64_t>(index, out);
    y[index] = upfirdn2d<T>(x, in, filter, form, at.sample, at.channel, at.row, at.column);
  }
}

template <typename T>
int launch_bias_act(const void* x, const void* bias, void* y, int64_t count, int64_t channel_step,
                    int64_t num_channels, const Activation& form, cudaStream_t stream) {
  bias_act_kernel<T><<<blocks_for(count), kThreads, 0, stream>>>(
      static_cast<const T*>(x), static_cast<const T*>(bias), static_cast<T*>(y), count, channel_step, num_channels,
      form);
  return cudaGetLastError();
}

template <typename T>
int launch_gradient(const void* dy, const void* y, void* dx, int64_t count, const Activation& form,
                    cudaStream_t stream) {
  bias_act_gradient_kernel<T><<<blocks_for(count), kThreads, 0, stream>>>(
      static_cast<const T*>(dy), static_cast<const T*>(y), static_cast<T*>(dx), count, form);
  return cudaGetLastError();
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

int topdis_bias_act(const void* x, const void* bias, void* y, int type, int64_t count, int64_t channel_step,
                    int64_t num_channels, const topdis::Activation* form, void* stream) {
  TOPDIS_BY_TYPE(launch_bias_act, x, bias, y, count, channel_step, num_channels, *form,
                 static_cast<cudaStream_t>(stream))
}

int topdis_bias_act_gradient(const void* dy, const void* y, void* dx, int type, int64_t count,
                             const topdis::Activation* form, void* stream) {
  TOPDIS_BY_TYPE(launch_gradient, dy, y, dx, count, *form, static_cast<cudaStream_t>(stream))
}

int topdis_upfirdn2d(const void* x, const float* filter, void* y, int type, const topdis::Images* in,
                     const topdis::Images* out, const topdis::Resampling* form, void* stream) {
  TOPDIS_BY_TYPE(launch_upfirdn2d, x, filter, y, *in, *out, *form, static_cast<cudaStream_t>(stream))
}
