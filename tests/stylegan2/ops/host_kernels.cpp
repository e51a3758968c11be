// The exported functions of stylegan2/ops/cuda/interface.h on a CPU, with loops instead of threads.

#include <cmath>
#include <cstring>

#include "interface.h"

// bfloat16 is the upper half of a float32, rounded to nearest, ties to even.
struct BFloat16 {
  uint16_t bits;
};

template <>
struct topdis::Number<BFloat16> {
  using type = float;
  static float load(BFloat16 value) {
    uint32_t wide = uint32_t(value.bits) << 16;
    float number;
    std::memcpy(&number, &wide, sizeof number);
    return number;
  }
  static BFloat16 store(float number) {
    uint32_t wide;
    std::memcpy(&wide, &number, sizeof wide);
    return {uint16_t((wide + 0x7fff + ((wide >> 16) & 1)) >> 16)};
  }
};

template <typename T, int V, bool kSmooth>
void bias_act_of(const void* x, const void* scale, const void* noise, const void* bias, void* y, int64_t count,
                 const topdis::Layout& layout, const topdis::Activation& form, bool narrow) {
  using Real = topdis::Real<T>;
  for (int64_t first = 0; first < count; first += V) {
    if (narrow) {
      topdis::bias_act<T, V, uint32_t, kSmooth>(static_cast<const T*>(x), static_cast<const Real*>(scale),
                                                static_cast<const Real*>(noise), static_cast<const Real*>(bias),
                                                static_cast<T*>(y), uint32_t(first), layout, form);
    } else {
      topdis::bias_act<T, V, int64_t, kSmooth>(static_cast<const T*>(x), static_cast<const Real*>(scale),
                                               static_cast<const Real*>(noise), static_cast<const Real*>(bias),
                                               static_cast<T*>(y), first, layout, form);
    }
  }
}

// Packed where a GPU would be, with both widths of the index in turn.
template <typename T>
int bias_act_on_host(const void* x, const void* scale, const void* noise, const void* bias, void* y, int64_t count,
                     const topdis::Layout& layout, const topdis::Activation& form) {
  static bool narrow = false;
  narrow = !narrow;
  constexpr int kPack = topdis::kPacked<T>;
  bool packed = topdis::fits_packs<T>(count, layout, x, y);
  auto work = packed ? bias_act_of<T, kPack, false> : bias_act_of<T, 1, false>;
  if (form.function != topdis::kLeaky) work = packed ? bias_act_of<T, kPack, true> : bias_act_of<T, 1, true>;
  work(x, scale, noise, bias, y, count, layout, form, narrow);
  return 0;
}

template <typename T, int V, bool kSmooth>
void gradient_of(const void* dy, const void* at, void* dx, int64_t count, const topdis::Activation& form, int order) {
  for (int64_t first = 0; first < count; first += V) {
    topdis::bias_act_gradient<T, V, kSmooth>(static_cast<const T*>(dy), static_cast<const T*>(at), static_cast<T*>(dx),
                                             first, form, order);
  }
}

template <typename T>
int gradient_on_host(const void* dy, const void* at, void* dx, int64_t count, const topdis::Activation& form,
                     int order) {
  constexpr int kPack = topdis::kPacked<T>;
  topdis::Layout line{1, count, 0, 0};
  bool packed = topdis::fits_packs<T>(count, line, dy, at) && topdis::fits_packs<T>(count, line, dx, dx);
  auto work = packed ? gradient_of<T, kPack, false> : gradient_of<T, 1, false>;
  if (form.function != topdis::kLeaky) work = packed ? gradient_of<T, kPack, true> : gradient_of<T, 1, true>;
  work(dy, at, dx, count, form, order);
  return 0;
}

// The three steps of every tile, each by several workers after all workers have done the one before.
template <typename T, typename Tile>
int tiles_on_host(const void* x, const topdis::Taps& taps, void* y, const topdis::Images& in,
                  const topdis::Images& out, const topdis::Resampling& form) {
  constexpr int kWorkers = 7;
  static Tile tile;
  for (int64_t index = 0; index < topdis::count_tiles<Tile>(out); ++index) {
    topdis::Place place = topdis::tile_place<Tile>(index, out);
    for (float& value : tile.input) value = NAN;  // what is not loaded must not be read
    for (float& value : tile.rows) value = NAN;
    for (int worker = 0; worker < kWorkers; ++worker) {
      topdis::load_tile(tile, static_cast<const T*>(x), in, form, place, worker, kWorkers);
    }
    for (int worker = 0; worker < kWorkers; ++worker) topdis::filter_rows(tile, taps, form, place, worker, kWorkers);
    for (int worker = 0; worker < kWorkers; ++worker) {
      topdis::filter_columns(tile, taps, static_cast<T*>(y), out, form, place, worker, kWorkers);
    }
  }
  return 0;
}

template <typename T>
int separable_on_host(const void* x, const topdis::Taps& taps, void* y, const topdis::Images& in,
                      const topdis::Images& out, const topdis::Resampling& form) {
  using topdis::Tile;
  bool last = out.stride[1] == 1 && in.stride[1] == 1;
  auto work = last ? tiles_on_host<T, Tile<1, 1, true>> : tiles_on_host<T, Tile<1, 1, false>>;
  if (form.up == 2) work = last ? tiles_on_host<T, Tile<2, 1, true>> : tiles_on_host<T, Tile<2, 1, false>>;
  if (form.down == 2) work = last ? tiles_on_host<T, Tile<1, 2, true>> : tiles_on_host<T, Tile<1, 2, false>>;
  return work(x, taps, y, in, out, form);
}

template <typename T>
int upfirdn2d_on_host(const void* x, const float* filter, void* y, const topdis::Images& in,
                      const topdis::Images& out, const topdis::Resampling& form) {
  int64_t count = out.batch * out.channels * out.height * out.width;
  for (int64_t index = 0; index < count; ++index) {
    topdis::Place at = topdis::place_of<uint32_t>(uint32_t(index), out);
    topdis::Place wide = topdis::place_of<int64_t>(index, out);
    if (at.sample != wide.sample || at.channel != wide.channel || at.row != wide.row || at.column != wide.column) {
      return 1;
    }
    static_cast<T*>(y)[index] = topdis::upfirdn2d<T>(static_cast<const T*>(x), in, filter, form, at.sample,
                                                     at.channel, at.row, at.column);
  }
  return 0;
}

#define BY_TYPE(call, ...)                    \
  switch (type) {                             \
    case 0: return call<float>(__VA_ARGS__);  \
    case 1: return call<_Float16>(__VA_ARGS__); \
    case 2: return call<BFloat16>(__VA_ARGS__); \
    case 3: return call<double>(__VA_ARGS__); \
    default: return 1;                        \
  }

const char* topdis_error_text(int code) { return code == 1 ? "invalid argument" : "unknown error"; }

int topdis_bias_act(const void* x, const void* scale, const void* noise, const void* bias, void* y, int type,
                    int64_t count, const topdis::Layout* layout, const topdis::Activation* form, void*) {
  BY_TYPE(bias_act_on_host, x, scale, noise, bias, y, count, *layout, *form)
}

int topdis_bias_act_gradient(const void* dy, const void* at, void* dx, int type, int64_t count,
                             const topdis::Activation* form, int order, void*) {
  BY_TYPE(gradient_on_host, dy, at, dx, count, *form, order)
}

int topdis_upfirdn2d(const void* x, const float* filter, void* y, int type, const topdis::Images* in,
                     const topdis::Images* out, const topdis::Resampling* form, void*) {
  BY_TYPE(upfirdn2d_on_host, x, filter, y, *in, *out, *form)
}

int topdis_upfirdn2d_separable(const void* x, const topdis::Taps* taps, void* y, int type, const topdis::Images* in,
                               const topdis::Images* out, const topdis::Resampling* form, void*) {
  if (type == 3 || form->up * form->down > 2) return 1;
  BY_TYPE(separable_on_host, x, *taps, y, *in, *out, *form)
}
