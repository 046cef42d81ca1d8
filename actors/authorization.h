// Authorization: an interceptor that lets a call pass if the token in its metadata allows it.
//
// A token is a bearer secret: whoever has it may do what it allows, and links are not encrypted or
// authenticated, so whoever reads them has it. It keeps programs in a network that is trusted
// apart; it keeps nobody out of one that is not.
//
// What an actor calls and tells on a principal's behalf carries that principal's token on, so it
// is allowed what the principal is. What an actor calls of its own accord (timers, reminders,
// Resume, `$readOnly` methods) carries none, and is allowed: it is the program's own doing.
//
// Threads: any; never changes. Errors: InvalidArgument, naming file and line.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "troupe/actors/interceptor.h"

namespace troupe {

inline constexpr char kAuthorization[] = "authorization";  // Key of a call's metadata: the token.
inline constexpr size_t kTokenBytesMin = 16;
inline constexpr size_t kPrincipalsMax = 1024;

// Who may call what.
//
//   anonymous = ["Greeter.greet"]       # Calls without a token.
//   [[principal]]
//   name = "shop"
//   token = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"
//   allow = ["Order", "Stock.look"]     # A type, a method, or "*" for all.
class Permissions {
 public:
  // TOML. `path` is for errors.
  static absl::StatusOr<Permissions> Parse(const std::string& text, const std::string& path);

  // Why not; empty: it may. `method`: "Stock.look", as its interface declares it.
  std::string WhyNot(std::string_view token, const std::string& type,
                     const std::string& method) const;

 private:
  using Digest = std::array<unsigned char, 32>;  // Tokens are compared and kept as their SHA-256.
  struct Principal {
    std::string name;
    std::vector<std::string> allow;
  };
  static Digest DigestOf(std::string_view token);
  static bool Allows(const std::vector<std::string>& rules, const std::string& type,
                     const std::string& method);

  std::vector<std::string> anonymous_;
  std::map<Digest, Principal> principals_;
};

class Authorization final : public Interceptor {
 public:
  explicit Authorization(Permissions permissions) : permissions_(std::move(permissions)) {}
  void Before(CallInfo& call) override;

 private:
  const Permissions permissions_;
};

}  // namespace troupe
