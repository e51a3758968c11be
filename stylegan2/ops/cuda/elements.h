// What each thread of an operation computes, as plain C++ that runs on a GPU and, for tests, on a CPU.
//
// bias_act:   y = clamp(gain * f(u)), u = s * x + n + b. The scale s of a sample's channel, the noise n of a pixel and
//             the bias b of a channel may each be missing. f is leaky(u) = u for u >= 0 and slope * u below (1: linear,
//             0: ReLU), whose derivative depends on y alone, or a function with a second derivative (Function).
// upfirdn2d:  along each axis, insert up - 1 zeros after each sample, pad, correlate with the filter, and keep
//             every down-th sample: y[n] = sum_k f[k] z[n * down + k - pad], z[m * up] = x[m], zeros elsewhere.
//             A filter that is an outer product is applied along rows and then along columns of a tile (tiles.h).
//
// Storage may have half precision; sums and products have single (or double) precision.

#pragma once

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define TOPDIS_ELEMENT __host__ __device__ __forceinline__
#else
#define TOPDIS_ELEMENT inline
#endif

namespace topdis {

// The type in which values of a storage type are computed, and the conversions in both directions.
template <typename T>
struct Number {
  using type = float;
  static TOPDIS_ELEMENT float load(T value) { return static_cast<float>(value); }
  static TOPDIS_ELEMENT T store(float value) { return static_cast<T>(value); }
};

template <>
struct Number<double> {
  using type = double;
  static TOPDIS_ELEMENT double load(double value) { return value; }
  static TOPDIS_ELEMENT double store(double value) { return value; }
};

template <typename T>
using Real = typename Number<T>::type;

// Numbered as in stylegan2/ops/kernels.py.
enum Function { kLeaky, kTanh, kSigmoid, kElu, kSelu, kSoftplus, kSwish };

struct Activation {
  int function;
  double slope, gain, clamp;  // slope: of kLeaky; clamp < 0: no clamp
};

// How elements lie in memory: (sample, channel, pixel), or (sample, pixel, channel) for channels_last.
struct Layout {
  int64_t channels, pixels;
  int channels_last, noise_per_sample;
};

struct Images {
  int64_t batch, channels, height, width;
  int64_t stride[4];  // in elements, of the same four axes
};

struct Resampling {
  int up, down, pad_x, pad_y, taps_x, taps_y;
};

// V adjacent elements, which a GPU loads and stores at once: 16 bytes.
template <typename T, int V>
struct alignas(sizeof(T) * V) Pack {
  T value[V];
};

template <typename T>
constexpr int kPacked = 16 / sizeof(T);

// Whether packs of V elements lie within a channel's pixels, or a pixel's channels, and at multiples of 16 bytes.
template <typename T>
inline bool fits_packs(int64_t count, const Layout& layout, const void* x, const void* y) {
  int64_t run = layout.channels_last ? layout.channels : layout.pixels;
  uint64_t places = reinterpret_cast<uint64_t>(x) | reinterpret_cast<uint64_t>(y);
  return count % kPacked<T> == 0 && run % kPacked<T> == 0 && places % 16 == 0;
}

// The logistic function 1 / (1 + exp(-u)), and its first two derivatives, for any u without overflow.
template <typename R>
TOPDIS_ELEMENT R logistic(R u, int order) {
  R decay = std::exp(u < 0 ? u : -u), value = (u < 0 ? decay : R(1)) / (1 + decay);
  if (order == 0) return value;
  R slope = decay / ((1 + decay) * (1 + decay));
  return order == 1 ? slope : slope * (1 - 2 * value);
}

// f(u), f'(u) or f''(u), for order 0, 1 or 2. SELU's two constants: Klambauer et al. 2017, arXiv:1706.02515.
template <typename R>
TOPDIS_ELEMENT R smooth(R u, int function, int order) {
  R line = order == 0 ? u : R(order == 1 ? 1 : 0), below = order == 0 ? std::expm1(u) : std::exp(u);
  switch (function) {
    case kTanh: return order == 0 ? std::tanh(u) : R(order == 1 ? 4 : 8) * logistic(2 * u, order);
    case kSigmoid: return logistic(u, order);
    case kElu: return u >= 0 ? line : below;
    case kSelu: return R(1.0507009873554805) * (u >= 0 ? line : R(1.6732632423543772) * below);
    case kSoftplus:
      return order > 0 ? logistic(u, order - 1) : (u > 0 ? u : R(0)) + std::log1p(std::exp(u > 0 ? -u : u));
    default:  // u logistic(u); below -100 it is 0
      if (u < -100) u = -100;
      return u * logistic(u, order) + (order == 0 ? R(0) : order * logistic(u, order - 1));
  }
}

template <typename T, bool kSmooth>
TOPDIS_ELEMENT T activate(Real<T> u, const Activation& form) {
  Real<T> y = kSmooth ? smooth(u, form.function, 0) : (u < 0 ? u * Real<T>(form.slope) : u);
  y *= Real<T>(form.gain);
  Real<T> limit = Real<T>(form.clamp);
  if (limit >= 0) y = y > limit ? limit : (y < -limit ? -limit : y);  // this form preserves NaN
  return Number<T>::store(y);
}

// Elements first, ..., first + V - 1. Index is as narrow as the number of elements allows: 64-bit divisions are slow.
template <typename T, int V, typename Index, bool kSmooth>
TOPDIS_ELEMENT void bias_act(const T* __restrict__ x, const Real<T>* __restrict__ scale,
                             const Real<T>* __restrict__ noise, const Real<T>* __restrict__ bias, T* __restrict__ y,
                             Index first, const Layout& layout, const Activation& form) {
  Index channels = Index(layout.channels), pixels = Index(layout.pixels);
  Index inner = layout.channels_last ? channels : pixels, outer = layout.channels_last ? pixels : channels;
  Index run = first / inner, place = first % inner, sample = run / outer, other = run % outer;
  Index channel = layout.channels_last ? place : other, pixel = layout.channels_last ? other : place;
  Index channel_step = layout.channels_last ? 1 : 0, pixel_step = 1 - channel_step;
  if (noise != nullptr && layout.noise_per_sample) noise += sample * pixels;
  Pack<T, V> given = *reinterpret_cast<const Pack<T, V>*>(x + first), result;
  for (int v = 0; v < V; ++v, channel += channel_step, pixel += pixel_step) {
    Real<T> u = Number<T>::load(given.value[v]);
    if (scale != nullptr) u *= scale[sample * channels + channel];
    if (noise != nullptr) u += noise[pixel];
    if (bias != nullptr) u += bias[channel];
    result.value[v] = activate<T, kSmooth>(u, form);
  }
  *reinterpret_cast<Pack<T, V>*>(y + first) = result;
}

// dy times the derivative, of this order, of y = clamp(gain * f(u)). `at` holds y if f is leaky, and u otherwise.
template <typename T, int V, bool kSmooth>
TOPDIS_ELEMENT void bias_act_gradient(const T* __restrict__ dy, const T* __restrict__ at, T* __restrict__ dx,
                                      int64_t first, const Activation& form, int order) {
  Pack<T, V> slopes = *reinterpret_cast<const Pack<T, V>*>(dy + first);
  Pack<T, V> values = *reinterpret_cast<const Pack<T, V>*>(at + first), result;
  // The stored clamp: half precision rounds it.
  Real<T> limit = Number<T>::load(Number<T>::store(Real<T>(form.clamp)));
  for (int v = 0; v < V; ++v) {
    Real<T> value = Number<T>::load(values.value[v]);
    Real<T> factor = kSmooth ? smooth(value, form.function, order) : value > 0 ? Real<T>(1) : Real<T>(form.slope);
    Real<T> y = kSmooth && form.clamp >= 0 ? Real<T>(form.gain) * smooth(value, form.function, 0) : value;
    factor = form.clamp >= 0 && (y >= limit || y <= -limit) ? Real<T>(0) : factor * Real<T>(form.gain);
    result.value[v] = Number<T>::store(Number<T>::load(slopes.value[v]) * factor);
  }
  *reinterpret_cast<Pack<T, V>*>(dx + first) = result;
}

// First tap k >= 0 at which (start + k) is a multiple of up, for any sign of start.
TOPDIS_ELEMENT int first_tap(int64_t start, int up) {
  int rest = static_cast<int>(start % up);
  return rest == 0 ? 0 : (rest < 0 ? -rest : up - rest);
}

template <typename T>
TOPDIS_ELEMENT T upfirdn2d(const T* __restrict__ x, const Images& in, const float* __restrict__ filter,
                           const Resampling& form, int64_t sample, int64_t channel, int64_t row, int64_t column) {
  const T* plane = x + sample * in.stride[0] + channel * in.stride[1];
  int64_t top = row * form.down - form.pad_y, left = column * form.down - form.pad_x;
  Real<T> sum = 0;
  for (int ky = first_tap(top, form.up); ky < form.taps_y; ky += form.up) {
    int64_t y = (top + ky) / form.up;
    if (top + ky < 0 || y >= in.height) continue;
    for (int kx = first_tap(left, form.up); kx < form.taps_x; kx += form.up) {
      int64_t z = (left + kx) / form.up;
      if (left + kx < 0 || z >= in.width) continue;
      Real<T> tap = Real<T>(filter[ky * form.taps_x + kx]);
      sum += tap * Number<T>::load(plane[y * in.stride[2] + z * in.stride[3]]);
    }
  }
  return Number<T>::store(sum);
}

// Sample, channel, row and column of the index-th element in memory order, or of a tile's first element.
struct Place {
  int64_t sample, channel, row, column;
};

template <typename Index>
TOPDIS_ELEMENT Place place_of(Index index, const Images& out) {
  Index channels = Index(out.channels), height = Index(out.height), width = Index(out.width);
  Place place;
  if (out.stride[1] == 1) {  // channels last
    place.channel = index % channels, index /= channels;
    place.column = index % width, index /= width;
    place.row = index % height;
    place.sample = index / height;
  } else {
    place.column = index % width, index /= width;
    place.row = index % height, index /= height;
    place.channel = index % channels;
    place.sample = index / channels;
  }
  return place;
}

}  // namespace topdis
