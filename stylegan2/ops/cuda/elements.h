// One output element of each operation, as plain C++ that runs on a GPU and, for tests, on a CPU.
//
// bias_act:   y = clamp(gain * leaky(x + b)), leaky(u) = u for u >= 0 and slope * u below (1: linear, 0: ReLU).
//             Its derivative is gain * (1 or slope), and 0 where y is clamped, so it depends on y alone.
// upfirdn2d:  along each axis, insert up - 1 zeros after each sample, pad, correlate with the filter, and keep
//             every down-th sample: y[n] = sum_k f[k] z[n * down + k - pad], z[m * up] = x[m], zeros elsewhere.
//
// Storage may have half precision; sums and products have single (or double) precision.

#pragma once

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

struct Activation {
  double slope, gain, clamp;  // clamp < 0: no clamp
};

struct Images {
  int64_t batch, channels, height, width;
  int64_t stride[4];  // in elements, of the same four axes
};

struct Resampling {
  int up, down, pad_x, pad_y, taps_x, taps_y;
};

template <typename T>
TOPDIS_ELEMENT T bias_act(T x, T bias, const Activation& form) {
  using Real = typename Number<T>::type;
  Real u = Number<T>::load(x) + Number<T>::load(bias);
  Real y = (u < 0 ? u * Real(form.slope) : u) * Real(form.gain);
  Real limit = Real(form.clamp);
  if (limit >= 0) y = y > limit ? limit : (y < -limit ? -limit : y);  // this form preserves NaN
  return Number<T>::store(y);
}

template <typename T>
TOPDIS_ELEMENT T bias_act_gradient(T dy, T y, const Activation& form) {
  using Real = typename Number<T>::type;
  Real value = Number<T>::load(y);
  // The stored clamp: half precision rounds it.
  Real limit = Number<T>::load(Number<T>::store(Real(form.clamp)));
  if (form.clamp >= 0 && (value >= limit || value <= -limit)) return Number<T>::store(Real(0));
  return Number<T>::store(Number<T>::load(dy) * Real(form.gain) * (value > 0 ? Real(1) : Real(form.slope)));
}

// First tap k >= 0 at which (start + k) is a multiple of up, for any sign of start.
TOPDIS_ELEMENT int first_tap(int64_t start, int up) {
  int rest = static_cast<int>(start % up);
  return rest == 0 ? 0 : (rest < 0 ? -rest : up - rest);
}

template <typename T>
TOPDIS_ELEMENT T upfirdn2d(const T* x, const Images& in, const float* filter, const Resampling& form, int64_t sample,
                           int64_t channel, int64_t row, int64_t column) {
  using Real = typename Number<T>::type;
  const T* plane = x + sample * in.stride[0] + channel * in.stride[1];
  int64_t top = row * form.down - form.pad_y, left = column * form.down - form.pad_x;
  Real sum = 0;
  for (int ky = first_tap(top, form.up); ky < form.taps_y; ky += form.up) {
    int64_t y = (top + ky) / form.up;
    if (top + ky < 0 || y >= in.height) continue;
    for (int kx = first_tap(left, form.up); kx < form.taps_x; kx += form.up) {
      int64_t z = (left + kx) / form.up;
      if (left + kx < 0 || z >= in.width) continue;
      Real tap = Real(filter[ky * form.taps_x + kx]);
      sum += tap * Number<T>::load(plane[y * in.stride[2] + z * in.stride[3]]);
    }
  }
  return Number<T>::store(sum);
}

// Sample, channel, row and column of the index-th element in memory order.
struct Place {
  int64_t sample, channel, row, column;
};

// Index is as narrow as the number of elements allows: 64-bit divisions are slow on a GPU.
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

// The channel of the index-th element, if each channel has runs of `step` elements.
template <typename Index>
TOPDIS_ELEMENT Index channel_of(Index index, int64_t step, int64_t num_channels) {
  return (index / Index(step)) % Index(num_channels);
}

}  // namespace topdis
