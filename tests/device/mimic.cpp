// The PyTorch device "mimic": memory and arithmetic of the host, rules of a GPU. See mimic.py.
//
// A kernel runs as a CPU kernel on host tensors over the same memory. Before that, the call must obey what CUDA asks:
// all tensors on the device, except index tensors and numbers without dimensions, and generators of the device.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/autocast_mode.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

#include <cstring>
#include <mutex>

namespace {

using at::Tensor;
using c10::IValue;

const c10::Device kMimic(c10::kPrivateUse1, 0);

// What the tests read: counts since the last reset, and the limits that they set.

struct Meter {
  std::mutex mutex;
  int64_t launches = 0, waits = 0, uploads = 0, allocated = 0, limit = -1;
  bool has_float64 = true;
};

Meter& meter() {
  static Meter* made = new Meter();  // never destroyed: memory is freed after main
  return *made;
}

void add(int64_t Meter::*counter, int64_t amount = 1) {
  std::lock_guard<std::mutex> lock(meter().mutex);
  meter().*counter += amount;
}

// Memory: host memory, up to the limit.

struct Block {
  void* data;
  size_t bytes;
};

void free_block(void* context) {
  auto* block = static_cast<Block*>(context);
  add(&Meter::allocated, -static_cast<int64_t>(block->bytes));
  c10::free_cpu(block->data);
  delete block;
}

void check_limit(size_t bytes) {
  TORCH_CHECK_WITH(OutOfMemoryError, meter().limit < 0 || meter().allocated + static_cast<int64_t>(bytes) <= meter().limit,
                   "mimic out of memory. Tried to allocate ", bytes, " bytes");
}

struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    check_limit(bytes);
    auto* block = new Block{c10::alloc_cpu(std::max<size_t>(bytes, 1)), bytes};
    add(&Meter::allocated, static_cast<int64_t>(bytes));
    return {block->data, block, &free_block, kMimic};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};

Allocator allocator;
REGISTER_ALLOCATOR(c10::kPrivateUse1, &allocator)

bool on_device(const Tensor& tensor) { return tensor.defined() && tensor.device().type() == c10::kPrivateUse1; }

void check_dtype(c10::ScalarType dtype) {
  TORCH_CHECK_TYPE(meter().has_float64 || dtype != c10::kDouble, "mimic has no float64; use float32");
}

struct Loan {  // keeps a storage alive while another device uses its memory
  c10::Storage storage;
  int64_t bytes;
};

void end_loan(void* context) {
  auto* loan = static_cast<Loan*>(context);
  add(&Meter::allocated, -loan->bytes);
  delete loan;
}

Tensor alias_on(c10::Device device, const Tensor& tensor, int64_t bytes) {
  const c10::Storage& storage = tensor.storage();
  const bool host = device.is_cpu();
  c10::DataPtr data(const_cast<void*>(storage.data()), new Loan{storage, bytes}, &end_loan, device);
  add(&Meter::allocated, bytes);
  c10::Storage shared(c10::Storage::use_byte_size_t{}, storage.nbytes(), std::move(data),
                      host ? c10::GetAllocator(c10::kCPU) : &allocator, true);
  const auto key = host ? c10::DispatchKey::CPU : c10::DispatchKey::PrivateUse1;
  Tensor made = at::detail::make_tensor<c10::TensorImpl>(std::move(shared), c10::DispatchKeySet(key), tensor.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(tensor.sizes(), tensor.strides(), tensor.storage_offset());
  made._set_conj(tensor.is_conj());
  made._set_neg(tensor.is_neg());
  return made;
}

// The host tensors of one call.
class Call {
 public:
  Tensor host(const Tensor& tensor) {
    if (!on_device(tensor)) return tensor;
    for (const auto& [ours, theirs] : pairs_)
      if (ours.is_same(tensor)) return theirs;
    pairs_.emplace_back(tensor, alias_on(c10::kCPU, tensor, 0));
    return pairs_.back().second;
  }

  Tensor device(const Tensor& result) {
    if (!result.defined() || on_device(result)) return result;
    for (const auto& [ours, theirs] : pairs_) {
      if (theirs.is_same(result)) return ours;
      if (result.numel() && theirs.storage().data() == result.storage().data())  // a view of an argument
        return at::native::as_strided_tensorimpl(ours, result.sizes(), result.strides(), result.storage_offset());
    }
    check_dtype(result.scalar_type());
    check_limit(result.storage().nbytes());
    return alias_on(kMimic, result, static_cast<int64_t>(result.storage().nbytes()));
  }

  // A kernel may resize its output, which then has other memory.
  void write_back() {
    for (auto& [ours, theirs] : pairs_) {
      if (ours.storage().data() == theirs.storage().data() && ours.sizes() == theirs.sizes()) continue;
      Tensor moved = alias_on(kMimic, theirs, static_cast<int64_t>(theirs.storage().nbytes()));
      ours.unsafeGetTensorImpl()->set_storage_keep_dtype(moved.storage());
      ours.unsafeGetTensorImpl()->set_sizes_and_strides(theirs.sizes(), theirs.strides(), theirs.storage_offset());
    }
  }

 private:
  std::vector<std::pair<Tensor, Tensor>> pairs_;
};

// Random numbers: a CPU generator of its own behind every generator of the device.

struct Generator final : c10::GeneratorImpl {
  Generator() : GeneratorImpl(kMimic, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1)) {}
  void set_current_seed(uint64_t seed) override { host.set_current_seed(seed); }
  uint64_t current_seed() const override { return host.current_seed(); }
  uint64_t seed() override { return host.seed(); }
  void set_offset(uint64_t offset) override { host.set_offset(offset); }
  uint64_t get_offset() const override { return host.get_offset(); }
  void set_state(const c10::TensorImpl& state) override { host.unsafeGetGeneratorImpl()->set_state(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override { return host.unsafeGetGeneratorImpl()->get_state(); }
  GeneratorImpl* clone_impl() const override {
    auto* copy = new Generator();
    copy->host = host.clone();
    return copy;
  }
  static c10::DeviceType device_type() { return c10::kPrivateUse1; }

  at::Generator host = at::detail::createCPUGenerator();
};

at::Generator& default_generator() {
  static auto* made = new at::Generator(at::make_generator<Generator>());
  return *made;
}

IValue host_generator(const IValue& given) {
  const at::Generator& ours = given.isNone() ? default_generator() : given.toGenerator();
  TORCH_CHECK(ours.device().type() == c10::kPrivateUse1, "Expected a 'mimic' generator but found '", ours.device(), "'");
  return static_cast<Generator*>(ours.unsafeGetGeneratorImpl())->host;
}

// Every kernel.

bool may_stay_on_the_host(const c10::OperatorHandle& op, const std::string& argument, const Tensor& tensor) {
  const std::string& name = op.schema().name();
  if (name.find("index") != std::string::npos && argument == "indices") return true;
  if (tensor.dim() > 0) return false;
  return op.hasTag(at::Tag::pointwise) || name.find("fill") != std::string::npos || name.find("index_put") != std::string::npos ||
         name.find("foreach") != std::string::npos;
}

void check_argument(const c10::OperatorHandle& op, const std::string& argument, const Tensor& tensor) {
  if (!tensor.defined() || on_device(tensor) || tensor.unsafeGetTensorImpl()->is_wrapped_number()) return;
  TORCH_CHECK(may_stay_on_the_host(op, argument, tensor),
              "Expected all tensors to be on the same device, but found at least two devices, mimic:0 and ",
              tensor.device(), " (argument ", argument, " of ", op.schema().name(), ")");
}

// A mask as an index is not counted here, but as the nonzero that it becomes.
bool waits_for_the_result(const c10::OperatorHandle& op) {
  const std::string& name = op.schema().name();
  return name == "aten::equal" || (op.hasTag(at::Tag::dynamic_output_shape) && name.find("index") == std::string::npos);
}

IValue to_host(Call& call, const c10::OperatorHandle& op, const c10::Argument& argument, const IValue& value) {
  const auto take = [&](const Tensor& tensor) {
    check_argument(op, argument.name(), tensor);
    return call.host(tensor);
  };
  if (value.isTensor()) return take(value.toTensor());
  if (value.isTensorList()) {
    c10::List<Tensor> list;
    for (const Tensor& tensor : value.toTensorVector()) list.push_back(take(tensor));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> list;
    for (const std::optional<Tensor>& tensor : value.toOptionalTensorVector())
      list.push_back(tensor ? std::optional<Tensor>(take(*tensor)) : std::nullopt);
    return list;
  }
  if (value.isDevice()) return c10::Device(c10::kCPU);
  if (argument.type()->str().find("Generator") != std::string::npos) return host_generator(value);
  return value;
}

IValue to_device(Call& call, const IValue& value) {
  if (value.isTensor()) return call.device(value.toTensor());
  if (!value.isTensorList()) return value;
  c10::List<Tensor> list;
  for (const Tensor& tensor : value.toTensorVector()) list.push_back(call.device(tensor));
  return list;
}

void launch(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const size_t first = stack->size() - schema.arguments().size();
  add(&Meter::launches);
  if (waits_for_the_result(op)) add(&Meter::waits);
  Call call;
  for (size_t i = first; i < stack->size(); ++i) (*stack)[i] = to_host(call, op, schema.arguments()[i - first], (*stack)[i]);
  {
    at::AutoDispatchBelowADInplaceOrView below;
    op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  }
  call.write_back();
  for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); ++i) (*stack)[i] = to_device(call, (*stack)[i]);
}

// What no CPU kernel does.

Tensor empty(c10::IntArrayRef size, std::optional<c10::ScalarType> dtype, std::optional<c10::Layout>,
             std::optional<c10::Device>, std::optional<bool>, std::optional<c10::MemoryFormat> format) {
  check_dtype(c10::dtype_or_default(dtype));
  return at::detail::empty_generic(size, &allocator, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   c10::dtype_or_default(dtype), format);
}

Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<c10::ScalarType> dtype,
                     std::optional<c10::Layout>, std::optional<c10::Device>, std::optional<bool>) {
  check_dtype(c10::dtype_or_default(dtype));
  return at::detail::empty_strided_generic(size, stride, &allocator, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(dtype));
}

Tensor copy_from(const Tensor& source, const Tensor& target, bool) {
  add(on_device(source) ? (on_device(target) ? &Meter::launches : &Meter::waits) : &Meter::uploads);
  Call call;
  call.host(target).copy_(call.host(source));
  return target;
}

const Tensor& resize_storage(const Tensor& self, c10::IntArrayRef size, std::optional<c10::MemoryFormat> format) {
  Call call;
  call.host(self).resize_(size, format);
  call.write_back();
  return self;
}

Tensor copy_from_and_resize(const Tensor& source, const Tensor& target) {
  resize_storage(target, source.sizes(), std::nullopt);
  return copy_from(source, target, false);
}

Tensor& set_storage(Tensor& self, c10::Storage source, int64_t offset, c10::IntArrayRef size, c10::IntArrayRef stride) {
  self.unsafeGetTensorImpl()->set_storage_keep_dtype(std::move(source));
  self.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride, offset);
  return self;
}

Tensor& set_whole_storage(Tensor& self, c10::Storage source) {
  const int64_t length = static_cast<int64_t>(source.nbytes()) / static_cast<int64_t>(self.element_size());
  return set_storage(self, std::move(source), 0, {length}, {1});
}

Tensor& set_tensor(Tensor& self, const Tensor& source) {
  return set_storage(self, source.storage(), source.storage_offset(), source.sizes(), source.strides());
}

at::Scalar read_number(const Tensor& self) {
  add(&Meter::waits);
  return Call().host(self).item();
}

void check_convolution(std::initializer_list<Tensor> tensors) {
  for (const Tensor& tensor : tensors)
    TORCH_CHECK(!tensor.defined() || on_device(tensor), "Expected all tensors to be on the same device: convolution");
  add(&Meter::launches);
}

Tensor convolve(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, c10::IntArrayRef stride,
                c10::IntArrayRef padding, c10::IntArrayRef dilation, bool transposed, c10::IntArrayRef output_padding,
                int64_t groups) {
  const Tensor added = bias.value_or(Tensor());
  check_convolution({input, weight, added});
  at::AutoDispatchBelowADInplaceOrView below;
  Call call;
  return call.device(at::convolution(call.host(input), call.host(weight), call.host(added), stride, padding, dilation,
                                     transposed, output_padding, groups));
}

std::tuple<Tensor, Tensor, Tensor> convolve_backward(const Tensor& gradient, const Tensor& input, const Tensor& weight,
                                                     c10::IntArrayRef stride, c10::IntArrayRef padding,
                                                     c10::IntArrayRef dilation, bool transposed,
                                                     c10::IntArrayRef output_padding, int64_t groups,
                                                     std::array<bool, 3> mask) {
  check_convolution({gradient, input, weight});
  at::AutoDispatchBelowADInplaceOrView below;
  Call call;
  const std::vector<int64_t> bias_size = {gradient.size(1)};
  const auto found =
      at::convolution_backward(call.host(gradient), call.host(input), call.host(weight), c10::IntArrayRef(bias_size),
                               stride, padding, dilation, transposed, output_padding, groups, mask);
  return {call.device(std::get<0>(found)), call.device(std::get<1>(found)), call.device(std::get<2>(found))};
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&launch>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("view", TORCH_FN(at::native::view));
  m.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("resize_", resize_storage);
  m.impl("set_.source_Storage", set_whole_storage);
  m.impl("set_.source_Storage_storage_offset", set_storage);
  m.impl("set_.source_Tensor", set_tensor);
  m.impl("_local_scalar_dense", read_number);
  m.impl("convolution_overrideable", convolve);
  m.impl("convolution_backward_overrideable", convolve_backward);
  m.impl("mse_loss", torch::CppFunction::makeFromBoxedFunction<&launch>());  // its output is made by the CPU kernel
  for (const char* name :  // one launch each on a GPU
       {"_foreach_add.List", "_foreach_add.Scalar", "_foreach_add_.List", "_foreach_add_.Scalar", "_foreach_sub.List",
        "_foreach_sub_.List", "_foreach_mul.List", "_foreach_mul.Scalar", "_foreach_mul.Tensor", "_foreach_mul_.List",
        "_foreach_mul_.Scalar", "_foreach_mul_.Tensor", "_foreach_norm.Scalar", "_foreach_lerp_.Scalar",
        "_foreach_addcmul_.Scalar", "_foreach_addcdiv_.ScalarList", "_foreach_sqrt", "_foreach_div_.ScalarList"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&launch>());
}

// One device with one stream.

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kPrivateUse1; }
  c10::Device exchangeDevice(c10::Device) const override { return kMimic; }
  c10::Device getDevice() const override { return kMimic; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, kMimic); }
  c10::Stream getDefaultStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, kMimic); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override { return default_generator(); }
  at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::make_generator<Generator>(); }
  at::Device getDeviceFromPtr(void*) const override { return kMimic; }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    c10::DataPtr larger = allocator.allocate(bytes);
    std::memcpy(larger.get(), storage.data(), std::min(bytes, storage.nbytes()));
    storage.set_data_ptr(std::move(larger));
    storage.unsafeGetStorageImpl()->set_nbytes(bytes);
  }
};

const bool registered = [] {
  at::RegisterPrivateUse1HooksInterface(new Hooks());
  return true;
}();

// What Python calls.

c10::Dict<std::string, int64_t> counts() {
  std::lock_guard<std::mutex> lock(meter().mutex);
  c10::Dict<std::string, int64_t> found;
  found.insert("launches", meter().launches);
  found.insert("waits", meter().waits);
  found.insert("uploads", meter().uploads);
  found.insert("allocated", meter().allocated);
  return found;
}

void reset() {
  std::lock_guard<std::mutex> lock(meter().mutex);
  meter().launches = meter().waits = meter().uploads = 0;
}

TORCH_LIBRARY(mimic, m) {
  m.def("counts() -> Dict(str, int)", counts);
  m.def("reset() -> ()", reset);
  m.def("allow_float64(bool allowed) -> ()", [](bool allowed) { meter().has_float64 = allowed; });
  m.def("limit_memory(int bytes) -> ()", [](int64_t bytes) { meter().limit = bytes < 0 ? -1 : meter().allocated + bytes; });
  m.def("seed(int seed) -> ()", [](int64_t seed) { default_generator().set_current_seed(seed); });
  m.def("rng_state() -> Tensor", [] { return default_generator().get_state(); });
  m.def("set_rng_state(Tensor state) -> ()", [](const Tensor& state) { default_generator().set_state(state); });
}

}  // namespace

namespace at {  // autocast with the lists of CUDA; the macros name types of this namespace

TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) { m.fallback(torch::CppFunction::makeFallthrough()); }

#define LOWER(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, lower_precision_fp)
#define FLOAT32(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32)
#define WIDEST(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, promote)

TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, m) {
  AT_FORALL_LOWER_PRECISION_FP(LOWER)
  AT_FORALL_FP32(FLOAT32)
  AT_FORALL_PROMOTE(WIDEST)
}

}  // namespace at
