// The exported functions of stylegan2/ops/cuda/interface.h on a CPU, with loops over the same elements instead of threads.

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

template <typename T>
int bias_act_on_host(const void* x, const void* bias, void* y, int64_t count, int64_t step, int64_t channels,
                     const topdis::Activation& form) {
  for (int64_t index = 0; index < count; ++index) {
    T shift = topdis::Number<T>::store(0);
    if (bias != nullptr) {
      uint32_t narrow = topdis::channel_of<uint32_t>(uint32_t(index), step, channels);
      if (narrow != topdis::channel_of<int64_t>(index, step, channels)) return 1;
      shift = static_cast<const T*>(bias)[narrow];
    }
    static_cast<T*>(y)[index] = topdis::bias_act<T>(static_cast<const T*>(x)[index], shift, form);
  }
  return 0;
}

template <typename T>
int gradient_on_host(const void* dy, const void* y, void* dx, int64_t count, const topdis::Activation& form) {
  for (int64_t index = 0; index < count; ++index) {
    T value = static_cast<const T*>(y)[index];
    static_cast<T*>(dx)[index] = topdis::bias_act_gradient<T>(static_cast<const T*>(dy)[index], value, form);
  }
  return 0;
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

int topdis_bias_act(const void* x, const void* bias, void* y, int type, int64_t count, int64_t step,
                    int64_t channels, const topdis::Activation* form, void*) {
  BY_TYPE(bias_act_on_host, x, bias, y, count, step, channels, *form)
}

int topdis_bias_act_gradient(const void* dy, const void* y, void* dx, int type, int64_t count,
                             const topdis::Activation* form, void*) {
  BY_TYPE(gradient_on_host, dy, y, dx, count, *form)
}

int topdis_upfirdn2d(const void* x, const float* filter, void* y, int type, const topdis::Images* in,
                     const topdis::Images* out, const topdis::Resampling* form, void*) {
  BY_TYPE(upfirdn2d_on_host, x, filter, y, *in, *out, *form)
}
