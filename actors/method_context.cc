#include "troupe/actors/method_context.h"

namespace troupe {

kj::Maybe<kj::Exception> MethodContext::TakeResults(const std::function<std::string()>& describe,
                                                    CallOutcome& out) {
  return kj::runCatchingExceptions([&] {
    auto results = results_.Take();
    if (results.size_bytes() > kCallBytesMax) {
      kj::throwRecoverableException(ResultsTooLarge(describe(), results.size_bytes()));
      return;
    }
    out.emplace<Payload>(std::move(results));
  });
}

}  // namespace troupe
