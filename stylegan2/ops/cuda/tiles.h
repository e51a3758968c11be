// upfirdn2d with an outer product of 4 + 4 taps, tile by tile: y = F_columns(F_rows(x)).
//
// The threads of a block share a tile of the result. Together they load the input that it depends on, filter its rows,
// and filter the columns of that: 8 products per element instead of 16, and each input is read from memory about once.
// A tile of contiguous images is a square of one channel, and one of channels-last images a smaller square of several
// channels, so that adjacent threads read and write adjacent elements. Between the three steps, all threads wait.

#pragma once

#include "elements.h"

namespace topdis {

constexpr int kTaps = 4;

struct Taps {
  float x[kTaps], y[kTaps];  // a correlation filter, f[ky][kx] = y[ky] * x[kx]
};

template <int kUp_, int kDown_, bool kChannelsLast>
struct Tile {
  static constexpr int kUp = kUp_, kDown = kDown_;
  static constexpr int kSide = kChannelsLast ? 8 : 32, kLanes = kChannelsLast ? 16 : 1;
  static constexpr int kInputs = ((kSide - 1) * kDown + kTaps - 1) / kUp + 1;  // along one axis
  float input[kInputs * kInputs * kLanes];
  float rows[kInputs * kSide * kLanes];
};

// The first input sample at or after a place among the stuffed samples.
template <int kUp>
TOPDIS_ELEMENT int64_t first_input(int64_t start) {
  return (start + first_tap(start, kUp)) / kUp;  // a multiple of kUp
}

TOPDIS_ELEMENT int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <typename Tile>
TOPDIS_ELEMENT int64_t count_tiles(const Images& out) {
  return out.batch * ceil_div(out.channels, Tile::kLanes) * ceil_div(out.height, Tile::kSide) *
         ceil_div(out.width, Tile::kSide);
}

template <typename Tile>
TOPDIS_ELEMENT Place tile_place(int64_t index, const Images& out) {
  int64_t columns = ceil_div(out.width, Tile::kSide), rows = ceil_div(out.height, Tile::kSide);
  int64_t lanes = ceil_div(out.channels, Tile::kLanes);
  Place place;
  place.column = index % columns * Tile::kSide, index /= columns;
  place.row = index % rows * Tile::kSide, index /= rows;
  place.channel = index % lanes * Tile::kLanes;
  place.sample = index / lanes;
  return place;
}

// Step 1: the tile's input, zero outside the images.
template <typename T, typename Tile>
TOPDIS_ELEMENT void load_tile(Tile& tile, const T* __restrict__ x, const Images& in, const Resampling& form,
                              const Place& place, int worker, int num_workers) {
  int64_t top = first_input<Tile::kUp>(place.row * Tile::kDown - form.pad_y);
  int64_t left = first_input<Tile::kUp>(place.column * Tile::kDown - form.pad_x);
  for (int index = worker; index < Tile::kInputs * Tile::kInputs * Tile::kLanes; index += num_workers) {
    int64_t channel = place.channel + index % Tile::kLanes;
    int64_t column = left + index / Tile::kLanes % Tile::kInputs, row = top + index / Tile::kLanes / Tile::kInputs;
    bool inside = channel < in.channels && row >= 0 && row < in.height && column >= 0 && column < in.width;
    int64_t offset = place.sample * in.stride[0] + channel * in.stride[1] + row * in.stride[2] + column * in.stride[3];
    tile.input[index] = inside ? Number<T>::load(x[offset]) : 0.0f;
  }
}

// The filter at the n-th output of a tile that starts at the stuffed place `start`; samples lie `step` apart.
template <typename Tile>
TOPDIS_ELEMENT float filter_at(const float* samples, int step, const float* taps, int64_t start, int n) {
  int64_t first = first_input<Tile::kUp>(start), place = start + int64_t(n) * Tile::kDown;
  float sum = 0;
  for (int k = first_tap(place, Tile::kUp); k < kTaps; k += Tile::kUp) {
    sum += taps[k] * samples[((place + k) / Tile::kUp - first) * step];
  }
  return sum;
}

// Step 2: along the rows of the input.
template <typename Tile>
TOPDIS_ELEMENT void filter_rows(Tile& tile, const Taps& taps, const Resampling& form, const Place& place, int worker,
                                int num_workers) {
  int64_t left = place.column * Tile::kDown - form.pad_x;
  for (int index = worker; index < Tile::kInputs * Tile::kSide * Tile::kLanes; index += num_workers) {
    int lane = index % Tile::kLanes, column = index / Tile::kLanes % Tile::kSide;
    int row = index / Tile::kLanes / Tile::kSide;
    const float* samples = tile.input + row * Tile::kInputs * Tile::kLanes + lane;
    tile.rows[index] = filter_at<Tile>(samples, Tile::kLanes, taps.x, left, column);
  }
}

// Step 3: along the columns of that, into the result.
template <typename T, typename Tile>
TOPDIS_ELEMENT void filter_columns(const Tile& tile, const Taps& taps, T* __restrict__ y, const Images& out,
                                   const Resampling& form, const Place& place, int worker, int num_workers) {
  int64_t top = place.row * Tile::kDown - form.pad_y;
  for (int index = worker; index < Tile::kSide * Tile::kSide * Tile::kLanes; index += num_workers) {
    int lane = index % Tile::kLanes, n = index / Tile::kLanes / Tile::kSide;
    int across = index / Tile::kLanes % Tile::kSide;
    int64_t channel = place.channel + lane, row = place.row + n, column = place.column + across;
    if (channel >= out.channels || row >= out.height || column >= out.width) continue;
    const float* samples = tile.rows + across * Tile::kLanes + lane;
    float sum = filter_at<Tile>(samples, Tile::kSide * Tile::kLanes, taps.y, top, n);
    y[place.sample * out.stride[0] + channel * out.stride[1] + row * out.stride[2] + column * out.stride[3]] =
        Number<T>::store(sum);
  }
}

}  // namespace topdis
