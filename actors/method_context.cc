#include "troupe/actors/method_context.h"

#include "absl/strings/str_cat.h"

namespace troupe {

kj::Maybe<kj::Exception> MethodContext::TakeResults(const std::function<std::string()>& describe,
                                                    CallOutcome& out) {
  return kj::runCatchingExceptions([&] {
    auto results = results_.Take();
    if (results.size_bytes() > kCallBytesMax) {
      kj::throwRecoverableException(
          Failed(absl::StrCat("the results of ", describe(), " are ", results.size_bytes(),
                              " bytes; at most ", kCallBytesMax, " can be sent")));
      return;
    }
    out.emplace<Payload>(std::move(results));
  });
}

}  // namespace troupe
