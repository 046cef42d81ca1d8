// Raw libuv TCP: messages of the payload's size and nothing else; the answers that one read brought
// begin as many calls, written at once.
#include <uv.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "echo_peer.h"

namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr double kWarmUp = 0.03;

class RawCaller {
 public:
  RawCaller(int port, const EchoShape& shape) : shape_(shape), buffer_(kReadBytes) {
    uv_loop_init(&loop_);
    uv_tcp_init(&loop_, &tcp_);
    tcp_.data = this;
    sockaddr_in address;
    uv_ip4_addr("127.0.0.1", port, &address);
    uv_tcp_connect(&connect_, &tcp_, reinterpret_cast<sockaddr*>(&address), OnConnected);
    uv_run(&loop_, UV_RUN_DEFAULT);  // Until OnConnected stops it.
    uv_tcp_nodelay(&tcp_, 1);
    uv_read_start(Stream(), Allocate, OnRead);
  }
  ~RawCaller() {
    uv_close(reinterpret_cast<uv_handle_t*>(&tcp_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }

  double Run(double seconds) {
    calls_ = 0;
    open_ = 0;
    began_ = Clock::now();
    until_ = began_ +
             std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    over_ = false;
    Send(shape_.width);
    uv_run(&loop_, UV_RUN_DEFAULT);
    if (failed_) throw std::runtime_error("raw libuv echo: a wrong echo came back, or none");
    return seconds_ * 1e6 / static_cast<double>(counted_);
  }

 private:
  using Clock = std::chrono::steady_clock;

  uv_stream_t* Stream() { return reinterpret_cast<uv_stream_t*>(&tcp_); }

  static void OnConnected(uv_connect_t* request, int status) {
    auto* self = static_cast<RawCaller*>(request->handle->data);
    self->failed_ = status != 0;
    uv_stop(&self->loop_);
  }
  static void Allocate(uv_handle_t* handle, size_t, uv_buf_t* out) {
    auto* self = static_cast<RawCaller*>(handle->data);
    *out = uv_buf_init(self->buffer_.data(), kReadBytes);
  }
  static void OnRead(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
    static_cast<RawCaller*>(stream->data)->Take(buffer->base, size);
  }

  void Send(size_t count) {
    outgoing_.assign(count * shape_.bytes, 0);
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(outgoing_.data() + i * shape_.bytes, &sent_, sizeof sent_);
      ++sent_;
    }
    open_ += count;
    uv_buf_t buffer = uv_buf_init(outgoing_.data(), static_cast<unsigned>(outgoing_.size()));
    const int written = uv_try_write(Stream(), &buffer, 1);
    const size_t done = written > 0 ? static_cast<size_t>(written) : 0;
    if (done == outgoing_.size()) return;
    auto* rest = new Rest{{}, {outgoing_.begin() + static_cast<ptrdiff_t>(done), outgoing_.end()}};
    rest->request.data = rest;
    buffer = uv_buf_init(rest->bytes.data(), static_cast<unsigned>(rest->bytes.size()));
    uv_write(&rest->request, Stream(), &buffer, 1,
             [](uv_write_t* request, int) { delete static_cast<Rest*>(request->data); });
  }

  // Messages arrive whole or in pieces; `partial_` is what came of the one that is not whole.
  void Take(const char* bytes, ssize_t size) {
    if (size < 0) return Fail();
    partial_.insert(partial_.end(), bytes, bytes + size);
    const size_t whole = partial_.size() / shape_.bytes;
    for (size_t i = 0; i < whole; ++i) {
      uint64_t sequence = 0;
      std::memcpy(&sequence, partial_.data() + i * shape_.bytes, sizeof sequence);
      if (sequence != received_++) return Fail();
    }
    partial_.erase(partial_.begin(),
                   partial_.begin() + static_cast<ptrdiff_t>(whole * shape_.bytes));
    calls_ += whole;
    open_ -= whole;
    const auto now = Clock::now();
    if (now < until_) {
      if (whole > 0) Send(whole);
      return;
    }
    if (!over_) {
      over_ = true;
      seconds_ = std::chrono::duration<double>(now - began_).count();
      counted_ = calls_;
    }
    if (open_ == 0) uv_stop(&loop_);
  }

  void Fail() {
    failed_ = true;
    uv_stop(&loop_);
  }

  struct Rest {
    uv_write_t request;
    std::vector<char> bytes;
  };

  const EchoShape shape_;
  uv_loop_t loop_;
  uv_tcp_t tcp_;
  uv_connect_t connect_;
  std::vector<char> buffer_, outgoing_, partial_;
  uint64_t sent_ = 0, received_ = 0, calls_ = 0, counted_ = 0;
  size_t open_ = 0;
  double seconds_ = 0;
  bool over_ = false, failed_ = false;
  Clock::time_point began_, until_;
};

class RawLibuvEcho final : public EchoPeer {
 public:
  explicit RawLibuvEcho(int port) : port_(port) {}
  double Measure(const EchoShape& shape, double seconds) override {
    RawCaller caller(port_, shape);
    caller.Run(kWarmUp);
    return caller.Run(seconds);
  }

 private:
  const int port_;
};

}  // namespace

std::unique_ptr<EchoPeer> LibuvEcho(int port) { return std::make_unique<RawLibuvEcho>(port); }
