// A raw echo: what one read brought goes back in one write.
#include <uv.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "echo_peer.h"

namespace {

constexpr size_t kReadBytes = 64 << 10;

struct Connection {
  uv_tcp_t tcp;
  char buffer[kReadBytes];
};

struct Write {
  uv_write_t request;
  std::string bytes;
};

void Allocate(uv_handle_t* handle, size_t, uv_buf_t* out) {
  auto* connection = static_cast<Connection*>(handle->data);
  *out = uv_buf_init(connection->buffer, kReadBytes);
}

void Close(Connection* connection) {
  uv_close(reinterpret_cast<uv_handle_t*>(&connection->tcp),
           [](uv_handle_t* handle) { delete static_cast<Connection*>(handle->data); });
}

// Only what does not fit into the socket is copied and waited for.
void EchoBack(Connection* connection, const char* bytes, size_t size) {
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection->tcp);
  uv_buf_t buffer = uv_buf_init(const_cast<char*>(bytes), static_cast<unsigned>(size));
  const int written = stream->write_queue_size > 0 ? 0 : uv_try_write(stream, &buffer, 1);
  const size_t done = written > 0 ? static_cast<size_t>(written) : 0;
  if (done == size) return;
  auto* write = new Write{{}, std::string(bytes + done, size - done)};
  write->request.data = write;
  buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
  uv_write(&write->request, stream, &buffer, 1,
           [](uv_write_t* request, int) { delete static_cast<Write*>(request->data); });
}

void OnRead(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  auto* connection = static_cast<Connection*>(stream->data);
  if (size < 0) return Close(connection);
  EchoBack(connection, buffer->base, static_cast<size_t>(size));
}

void OnConnection(uv_stream_t* listener, int) {
  auto* connection = new Connection;
  uv_tcp_init(listener->loop, &connection->tcp);
  connection->tcp.data = connection;
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection->tcp);
  if (uv_accept(listener, stream) != 0) return Close(connection);
  uv_tcp_nodelay(&connection->tcp, 1);
  uv_read_start(stream, Allocate, OnRead);
}

}  // namespace

int ServeLibuvEcho() {
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  uv_tcp_init(loop, &listener);
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 0, &address);
  uv_tcp_bind(&listener, reinterpret_cast<sockaddr*>(&address), 0);
  if (uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 16, OnConnection) != 0) return 1;
  int size = sizeof address;
  uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
