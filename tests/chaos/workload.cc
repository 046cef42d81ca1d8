#include "workload.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "chaos.capnp.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/kj_time.h"

namespace troupe::chaos {
namespace {

constexpr size_t kCallsMax = 400;  // Of one actor.
constexpr size_t kUnknownMax = 6;  // Each may double what has to be searched.
constexpr size_t kReadsAtOnce = 32;

// Of each client: some give up before a failover is over.
constexpr absl::Duration kLimits[] = {absl::Milliseconds(300), absl::Seconds(2), absl::Seconds(10),
                                      absl::Seconds(20)};

bool Contains(const std::string& text, const char* part) { return text.find(part) != text.npos; }

// Bounds that were met before the call could run.
bool IsRefusal(const kj::Exception& e, const std::string& words) {
  return e.getType() == kj::Exception::Type::OVERLOADED &&
         (Contains(words, "mailbox is full") || Contains(words, "calls are unanswered"));
}

// Nothing that time and faults can explain. A stale call was told so after its caller had gone on.
bool IsWrong(const kj::Exception& e, const std::string& words) {
  return (e.getType() == kj::Exception::Type::FAILED && !Contains(words, "Stale")) ||
         e.getType() == kj::Exception::Type::UNIMPLEMENTED;
}

}  // namespace

Workload::Workload(Host& host, WorkloadOptions options)
    : host_(host), options_(std::move(options)), subjects_(options_.actors) {
  for (size_t i = 0; i < options_.clients; ++i) {
    clients_.push_back(std::make_unique<Client>(
        host_, ClientOptions{.nodes = options_.nodes, .name = absl::StrCat("c", i + 1)}));
  }
}

Workload::~Workload() { callers_.clear(); }

kj::Promise<void> Workload::Connected(absl::Duration limit) {
  kj::Vector<kj::Promise<void>> all;
  for (auto& client : clients_) all.add(client->Connected(limit));
  return kj::joinPromises(all.releaseAsArray());
}

void Workload::Start() {
  Random seeds(options_.seed);
  for (size_t client = 0; client < options_.clients; ++client) {
    for (size_t i = 0; i < options_.callers; ++i) {
      callers_.push_back(
          Caller(client, absl::StrCat("c", client + 1, ".", i + 1), Random(seeds.Next()))
              .AsPromise());
    }
  }
}

Task<void> Workload::Stop() {
  stopping_ = true;
  for (auto& caller : std::exchange(callers_, {})) {
    auto ended = kj::mv(caller);
    co_await ended;
  }
}

Task<void> Workload::ReadAll(absl::Duration limit) {
  std::vector<kj::Promise<bool>> reading;
  for (size_t i = 0; i <= all_.size(); ++i) {
    if (i < all_.size()) {
      const bool is_register = all_[i]->kind == Kind::kRegister;
      reading.push_back(
          Perform(0, "last", all_[i], {is_register ? "read" : "get", {}}, limit).AsPromise());
    }
    if (reading.size() < kReadsAtOnce && i < all_.size()) continue;
    for (auto& read : std::exchange(reading, {})) {
      auto ended = kj::mv(read);
      const bool answered = co_await ended;
      if (!answered) ++wrong_["an actor could not be read after all had healed"];
    }
  }
}

Task<void> Workload::Caller(size_t client, std::string name, Random random) {
  const absl::Duration limit = kLimits[client % std::size(kLimits)];
  while (!stopping_) {
    auto pause = host_.timer().afterDelay((2 + random.Below(20)) * kj::MILLISECONDS);
    co_await pause;
    auto subject = Pick(random.Below(subjects_.size()));
    auto action = Choose(*subject, name, random);
    auto done = Perform(client, name, subject, std::move(action), limit);
    co_await done;
  }
}

Task<bool> Workload::Perform(size_t client, std::string name, std::shared_ptr<Subject> subject,
                             Action action, absl::Duration limit) {
  ++subject->calls;
  const std::string object = subject->key;
  const auto number =
      history_.Invoke(host_.clock().Now(), name, object, action.call, action.arguments);
  auto sent = Send(client, *subject, action, limit);
  auto outcome = co_await Settled(sent);
  if (!outcome.ok()) {
    Ended(number, *subject, outcome.exception());
    co_return false;
  }
  ++answered_;
  if (action.call == "read") last_seen_[object] = outcome.value();
  history_.Return(host_.clock().Now(), number, outcome.value());
  co_return true;
}

void Workload::Ended(sim::History::Number number, Subject& subject, const kj::Exception& why) {
  const std::string words = Words(why);
  if (IsRefusal(why, words)) {
    ++refused_;
    return history_.Refuse(host_.clock().Now(), number);
  }
  ++unknown_;
  ++subject.unknown;
  if (IsWrong(why, words)) ++wrong_[words];
}

std::shared_ptr<Workload::Subject> Workload::Pick(size_t slot) {
  auto& subject = subjects_[slot];
  if (subject == nullptr || subject->calls >= kCallsMax || subject->unknown >= kUnknownMax) {
    if (subject != nullptr) last_seen_.erase(subject->key);
    const Kind kind = slot % 2 == 0 ? Kind::kRegister : Kind::kCounter;
    subject = std::make_shared<Subject>();
    subject->kind = kind;
    subject->key =
        absl::StrCat(kind == Kind::kRegister ? "register-" : "counter-", slot, "-", all_.size());
    all_.push_back(subject);
  }
  return subject;
}

Workload::Action Workload::Choose(const Subject& subject, const std::string& name, Random& random) {
  const uint64_t die = random.Below(100);
  if (subject.kind == Kind::kCounter) {
    if (die < 30) return {"get", {}};
    // Amounts of their own, so that a sum tells which of them are in it.
    return {"add", {absl::StrCat(1 + random.Below(1'000'000))}};
  }
  if (die < 40) return {"read", {}};
  const std::string value = absl::StrCat(name, "-", ++next_value_);
  if (die < 70) return {"write", {value}};
  return {"cas", {last_seen_[subject.key], value}};
}

kj::Promise<std::string> Workload::Send(size_t client, const Subject& subject, const Action& action,
                                        absl::Duration limit) {
  const CallOptions options{.deadline = limit};
  const auto& arguments = action.arguments;
  if (subject.kind == Kind::kCounter) {
    auto ref = clients_[client]->Get<Tally>(subject.key, options);
    if (action.call == "get") {
      return ref.getRequest().send().then([](auto&& r) { return absl::StrCat(r.getValue()); });
    }
    auto request = ref.addRequest();
    request.setBy(std::stoll(arguments[0]));
    return request.send().then([](auto&& r) { return absl::StrCat(r.getValue()); });
  }
  auto ref = clients_[client]->Get<Cell>(subject.key, options);
  if (action.call == "read") {
    return ref.readRequest().send().then([](auto&& r) { return std::string(r.getValue().cStr()); });
  }
  if (action.call == "write") {
    auto request = ref.writeRequest();
    request.setValue(arguments[0]);
    return request.send().then([](auto&&) { return std::string(); });
  }
  auto request = ref.casRequest();
  request.setExpected(arguments[0]);
  request.setValue(arguments[1]);
  return request.send().then([](auto&& r) { return std::string(r.getDone() ? "true" : "false"); });
}

}  // namespace troupe::chaos
