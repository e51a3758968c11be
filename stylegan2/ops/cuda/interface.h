// The exported C functions on raw pointers. Python calls them through ctypes (stylegan2/ops/kernels.py).
//
// Each returns 0 or a CUDA error number. `type` is 0: float32, 1: float16, 2: bfloat16, 3: float64. Tensors are
// dense, contiguous or channels-last; `bias` may be null. `stream` is the CUDA stream to run on.

#pragma once

#include "elements.h"

#ifdef _WIN32
#define TOPDIS_EXPORT extern "C" __declspec(dllexport)
#else
#define TOPDIS_EXPORT extern "C"
#endif

// y = clamp(gain * leaky(x + bias[c])), c = (index / channel_step) % num_channels.
TOPDIS_EXPORT int topdis_bias_act(const void* x, const void* bias, void* y, int type, int64_t count,
                                  int64_t channel_step, int64_t num_channels, const topdis::Activation* form,
                                  void* stream);

// dx = dy * (derivative of the above at its result y).
TOPDIS_EXPORT int topdis_bias_act_gradient(const void* dy, const void* y, void* dx, int type, int64_t count,
                                           const topdis::Activation* form, void* stream);

// y = every down-th sample of the zero-stuffed and padded x, correlated with the filter (float32, on the device).
TOPDIS_EXPORT int topdis_upfirdn2d(const void* x, const float* filter, void* y, int type, const topdis::Images* in,
                                   const topdis::Images* out, const topdis::Resampling* form, void* stream);
