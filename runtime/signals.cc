#include "troupe/runtime/signals.h"

#include <uv.h>

#include <vector>

#include "kj/debug.h"

namespace troupe {

namespace {

class SignalOp {
 public:
  SignalOp(kj::PromiseFulfiller<int>& result, uv_loop_t* loop, std::initializer_list<int> signals)
      : result_(result) {
    for (int signal : signals) {
      auto* handle = new uv_signal_t;
      uv_signal_init(loop, handle);
      handle->data = this;
      handles_.push_back(handle);
      int error = uv_signal_start(handle, &OnSignal, signal);
      if (error != 0) {
        result_.reject(KJ_EXCEPTION(FAILED, "signal cannot be caught", signal, uv_strerror(error)));
      }
    }
  }
  ~SignalOp() { Close(); }

 private:
  static void OnSignal(uv_signal_t* handle, int signal) {
    auto* self = static_cast<SignalOp*>(handle->data);
    self->Close();
    self->result_.fulfill(kj::mv(signal));
  }

  void Close() {
    for (uv_signal_t* handle : handles_) {
      uv_close(reinterpret_cast<uv_handle_t*>(handle),
               [](uv_handle_t* h) { delete reinterpret_cast<uv_signal_t*>(h); });
    }
    handles_.clear();
  }

  kj::PromiseFulfiller<int>& result_;
  std::vector<uv_signal_t*> handles_;
};

}  // namespace

kj::Promise<int> NextSignal(UvEventPort& port, std::initializer_list<int> signals) {
  return kj::newAdaptedPromise<int, SignalOp>(port.loop(), signals);
}

}  // namespace troupe
