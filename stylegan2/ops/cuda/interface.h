// The exported C functions on raw pointers. Python calls them through ctypes (stylegan2/ops/kernels.py).
//
// Each returns 0 or a CUDA error number. `type` is 0: float32, 1: float16, 2: bfloat16, 3: float64. Tensors are
// dense, contiguous or channels-last. `stream` is the CUDA stream to run on.

#pragma once

#include "tiles.h"

#ifdef _WIN32
#define TOPDIS_EXPORT extern "C" __declspec(dllexport)
#else
#define TOPDIS_EXPORT extern "C"
#endif

// The text of an error number, in static memory.
TOPDIS_EXPORT const char* topdis_error_text(int code);

// y = clamp(gain * f(scale * x + noise + bias)). Each of the three may be null; they have single precision, or
// double for tensors of type 3: scale (samples, channels), noise (pixels) or (samples, pixels), bias (channels).
TOPDIS_EXPORT int topdis_bias_act(const void* x, const void* scale, const void* noise, const void* bias, void* y,
                                  int type, int64_t count, const topdis::Layout* layout,
                                  const topdis::Activation* form, void* stream);

// dx = dy * (derivative of y = clamp(gain * f(u)) by u), of order 1 or 2. `at` is y if f is leaky, and u otherwise.
TOPDIS_EXPORT int topdis_bias_act_gradient(const void* dy, const void* at, void* dx, int type, int64_t count,
                                           const topdis::Activation* form, int order, void* stream);

// y = every down-th sample of the zero-stuffed and padded x, correlated with the filter (float32, on the device).
TOPDIS_EXPORT int topdis_upfirdn2d(const void* x, const float* filter, void* y, int type, const topdis::Images* in,
                                   const topdis::Images* out, const topdis::Resampling* form, void* stream);

// The same with an outer product of taps (on the host), for up or down of at most 2, not both, and types 0 to 2.
TOPDIS_EXPORT int topdis_upfirdn2d_separable(const void* x, const topdis::Taps* taps, void* y, int type,
                                             const topdis::Images* in, const topdis::Images* out,
                                             const topdis::Resampling* form, void* stream);
