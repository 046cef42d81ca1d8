#include <netdb.h>
#include <uv.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "troupe/runtime/internal/uv_sockets.h"

namespace troupe {

namespace {

using Addresses = std::vector<std::string>;

class ResolveOp;

struct ResolveRequest {
  uv_getaddrinfo_t request;
  ResolveOp* waiter;
};

class ResolveOp {
 public:
  ResolveOp(kj::PromiseFulfiller<Addresses>& result, uv_loop_t* loop, const std::string& name,
            const std::string& service)
      : result_(result), request_(new ResolveRequest{{}, this}) {
    request_->request.data = request_;
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    int error =
        uv_getaddrinfo(loop, &request_->request, &Done, name.c_str(), service.c_str(), &hints);
    if (error == 0) return;
    delete std::exchange(request_, nullptr);
    result_.fulfill(Addresses());
  }
  ~ResolveOp() {
    if (request_ == nullptr) return;
    request_->waiter = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&request_->request));
  }

 private:
  static void Done(uv_getaddrinfo_t* r, int, addrinfo* list) {
    std::unique_ptr<ResolveRequest> request(static_cast<ResolveRequest*>(r->data));
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, &uv_freeaddrinfo);
    ResolveOp* waiter = request->waiter;
    if (waiter == nullptr) return;
    waiter->request_ = nullptr;
    Addresses found;
    for (addrinfo* i = list; i != nullptr; i = i->ai_next) {
      std::string text = SocketAddress(i->ai_addr, i->ai_addrlen).ToString();
      if (std::find(found.begin(), found.end(), text) == found.end()) found.push_back(text);
    }
    waiter->result_.fulfill(std::move(found));
  }

  kj::PromiseFulfiller<Addresses>& result_;
  ResolveRequest* request_;
};

}  // namespace

kj::Promise<Addresses> UvResolve(UvEventPort& port, std::string name_and_port) {
  if (SocketAddress::Parse(name_and_port).ok()) return Addresses{std::move(name_and_port)};
  const size_t colon = name_and_port.rfind(':');
  if (colon == 0 || colon == std::string::npos) return Addresses();
  return kj::newAdaptedPromise<Addresses, ResolveOp>(port.loop(), name_and_port.substr(0, colon),
                                                     name_and_port.substr(colon + 1));
}

}  // namespace troupe
