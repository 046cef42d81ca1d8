#include "troupe/sim/ledger.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capnp/serialize.h"
#include "troupe/actors/actor.h"
#include "troupe/rpc/status.h"
#include "troupe/rpc/words.h"
#include "troupe/runtime/task.h"

namespace troupe::sim {
namespace {

constexpr uint64_t kRelayed = uint64_t{1} << 62;  // Of the entry that a relay leaves at its target.
constexpr int kBurst = 5;
constexpr size_t kOpenMax = 300;
constexpr size_t kOpenAtOneMax =
    6;  // Of one client, at a ledger that nobody leads or it cannot reach.

kj::Duration ToKj(absl::Duration d) { return absl::ToInt64Nanoseconds(d) * kj::NANOSECONDS; }

class LedgerActor final : public Actor<Ledger, LedgerState> {
 public:
  explicit LedgerActor(std::shared_ptr<Ledgers::Witness> witness) : witness_(std::move(witness)) {}

 private:
  kj::Promise<void> append(AppendContext call) override {
    Add(call.getParams().getEntry());
    Show(call.getResults().initPage());
    return kj::READY_NOW;
  }
  kj::Promise<void> read(ReadContext call) override {
    Show(call.getResults().initPage());
    return kj::READY_NOW;
  }
  kj::Promise<void> relay(RelayContext call) override { return Relay(call); }
  Task<void> Relay(RelayContext call) {
    const uint64_t entry = call.getParams().getEntry();
    auto other = context().Get<Ledger>(call.getParams().getTo().cStr());
    auto request = other.appendRequest();
    request.setEntry(entry | kRelayed);
    const uint64_t length = entries_.size(), hash = hash_;
    Add(entry);
    auto sent = request.send();
    auto reply = co_await sent;
    Tell(length, hash);
    Show(call.getResults().initPage());
    call.getResults().setTheirs(reply.getPage());
  }
  kj::Promise<void> linger(LingerContext call) override { return Linger(call); }
  Task<void> Linger(LingerContext call) {
    open_ = true;
    auto other = context().Get<Ledger>(call.getParams().getTo().cStr());
    auto sent = other.readRequest().send();
    auto reply = co_await sent;
    Tell(entries_.size(), hash_);
    open_ = false;
    Add(call.getParams().getEntry());
    Show(call.getResults().initPage());
  }
  kj::Promise<void> fail(FailContext call) override {
    Add(call.getParams().getEntry());
    return KJ_EXCEPTION(FAILED, "told to fail");
  }

  void Add(uint64_t entry) {
    doubled_ = doubled_ || std::find(entries_.begin(), entries_.end(), entry) != entries_.end();
    entries_.push_back(entry);
    hash_ = ExtendHash(hash_, entry);
  }
  void Show(Page::Builder out) const {
    out.setLength(entries_.size());
    out.setHash(hash_);
    out.setDoubled(doubled_);
    out.setOpen(open_);
  }
  void Tell(uint64_t length, uint64_t hash) {
    if (*witness_) (*witness_)(std::string(context().key()), length, hash);
  }
  void Save(LedgerState::Builder out) const override {
    auto list = out.initEntries(static_cast<unsigned>(entries_.size()));
    for (unsigned i = 0; i < list.size(); ++i) list.set(i, entries_[i]);
    out.setOpen(open_);
  }
  void Load(LedgerState::Reader in) override {
    for (uint64_t entry : in.getEntries()) Add(entry);
    open_ = in.getOpen();
  }

  const std::shared_ptr<Ledgers::Witness> witness_;
  std::vector<uint64_t> entries_;
  uint64_t hash_ = 0;
  bool doubled_ = false;
  bool open_ = false;
};

std::string Key(int number) { return absl::StrCat("ledger", number); }

}  // namespace

uint64_t ExtendHash(uint64_t hash, uint64_t entry) { return Random(hash ^ (entry * 3)).Next(); }

void Ledgers::Register(Registry& registry, std::shared_ptr<Witness> witness) {
  registry.Host<LedgerActor>([witness] { return kj::heap<LedgerActor>(witness); });
}

void Ledgers::OnWitness(const std::string& key, uint64_t length, uint64_t hash) {
  ++answered_;
  Fact("a call that left", key, length, hash);
  books_[key].newest = std::max(books_[key].newest, length);
}

Ledgers::Ledgers(Cluster& cluster, Random random, LedgerOptions options, Problem problem)
    : cluster_(cluster),
      random_(random),
      options_(std::move(options)),
      problem_(std::move(problem)),
      tasks_(errors_) {
  for (int i = 0; i < options_.ledgers; ++i) books_[KeyOf(i)];
  for (const auto& client : options_.clients) cluster_.AddClient(client);
  cluster_.AddClient(options_.reader);
}

Ledgers::~Ledgers() noexcept(false) = default;

void Ledgers::Errors::taskFailed(kj::Exception&& exception) {
  ledgers.problem_("ledgers", absl::StrCat("the ledgers' client failed: ", Words(exception)));
}

void Ledgers::Start() {
  for (const auto& client : options_.clients) {
    for (int i = 0; i < 3; ++i) Loop(client);
  }
  for (int i = 0; i < 4; ++i) Loop(options_.reader);
}

std::string Ledgers::KeyOf(int ledger) {
  const auto name = [&] {
    const int number = successors_[ledger];
    return number == 0 ? Key(ledger) : absl::StrCat(Key(ledger), ".", number);
  };
  if (books_[name()].asked.size() >= options_.entries_max) ++successors_[ledger];
  return name();
}

std::string Ledgers::AnyKey() {
  return KeyOf(static_cast<int>(random_.Below(static_cast<uint64_t>(options_.ledgers))));
}

void Ledgers::Loop(const std::string& client) {
  if (stopped_) return;
  const auto pause = options_.pause * (0.2 + 1.6 * random_.Unit());
  auto& timer = cluster_.world().machine(client).control().timer();
  tasks_.add(timer.afterDelay(ToKj(pause)).then([this, client] {
    if (stopped_) return;
    if (open_ < kOpenMax) Next(client);
    Loop(client);
  }));
}

// From ledgers of lower numbers to higher ones, so that no two wait for each other.
void Ledgers::Next(const std::string& client) {
  const std::string key = AnyKey(), other = AnyKey();
  if (open_at_[{client, key}] >= kOpenAtOneMax) return;
  if (client == options_.reader || random_.Chance(options_.reads)) return Read(client, key);
  if (key != other && random_.Chance(options_.relays)) {
    return Relay(client, std::min(key, other), std::max(key, other));
  }
  if (key < Key(options_.ledgers - 1) && random_.Chance(options_.lingers)) {
    return Linger(client, key);
  }
  if (random_.Chance(options_.failures)) return Fail(client, key);
  const int count = random_.Chance(options_.bursts) ? kBurst : 1;
  for (int i = 0; i < count; ++i) Append(client, key);
}

void Ledgers::Everyone() {
  for (const auto& client : options_.clients) {
    for (int i = 0; i < options_.ledgers; ++i) {
      Append(client, KeyOf(i));
      Read(client, KeyOf(i));
    }
  }
}

void Ledgers::Relays(int count) {
  for (int i = 0; i < count; ++i) {
    const auto& client = options_.clients[random_.Below(options_.clients.size())];
    const std::string one = AnyKey(), other = AnyKey();
    if (one == other || open_ >= kOpenMax) continue;
    Relay(client, std::min(one, other), std::max(one, other));
    if (random_.Chance(0.3) && one < Key(options_.ledgers - 1)) Linger(client, one);
  }
}

void Ledgers::ReadAll() {
  for (const auto& [key, book] : books_) Read(options_.clients.front(), key);
}

// ---- Calls

Ledger::Client Ledgers::Get(const std::string& client, const std::string& key) {
  const bool hasty = random_.Chance(0.1);
  return cluster_.client(client).Get<Ledger>(
      key, {.deadline = hasty ? options_.deadline / 20 : options_.deadline});
}

Ledgers::Call Ledgers::Begin(const std::string& client, const std::string& key, uint64_t entry) {
  Call call{client, key, entry, books_[key].newest, 0, 0};
  if (entry != 0) {
    books_[key].asked.insert(entry);
    call.order = next_order_++;
  }
  std::vector<std::string> arguments;
  // To the model a ledger is a counter of its entries.
  if (entry != 0) arguments.push_back(books_[key].failing.contains(entry) ? "0" : "1");
  call.number = history_.Invoke(cluster_.world().Now(), client, key, entry == 0 ? "get" : "add",
                                std::move(arguments));
  ++open_;
  ++open_at_[{client, key}];
  return call;
}

void Ledgers::Watch(const Call& call, kj::Promise<void> promise) {
  tasks_.add(promise.then([] {},
                          [this, call](kj::Exception&& e) {
                            Close(call);
                            Ended(call, e);
                          }));
}

void Ledgers::Append(const std::string& client, const std::string& key) {
  auto call = Begin(client, key, next_entry_++);
  auto request = Get(client, key).appendRequest();
  request.setEntry(call.entry);
  Watch(call, request.send().then([this, call](auto&& reply) { Returned(call, reply.getPage()); }));
}

void Ledgers::Read(const std::string& client, const std::string& key) {
  auto call = Begin(client, key, 0);
  Watch(call, Get(client, key).readRequest().send().then([this, call](auto&& reply) {
    Returned(call, reply.getPage());
  }));
}

void Ledgers::Relay(const std::string& client, const std::string& key, const std::string& to) {
  auto call = Begin(client, key, next_entry_++);
  books_[to].asked.insert(call.entry | kRelayed);
  const auto there = history_.Invoke(cluster_.world().Now(), client, to, "add", {"1"});
  auto request = Get(client, key).relayRequest();
  request.setEntry(call.entry);
  request.setTo(to);
  Watch(call, request.send().then([this, call, to, there](auto&& reply) {
    history_.Return(cluster_.world().Now(), there, absl::StrCat(reply.getTheirs().getLength()));
    books_[to].answered.insert(call.entry | kRelayed);
    Shown(absl::StrCat("relay from ", call.key), to, reply.getTheirs());
    Returned(call, reply.getPage());
  }));
}

void Ledgers::Linger(const std::string& client, const std::string& key) {
  auto call = Begin(client, key, next_entry_++);
  auto request = Get(client, key).lingerRequest();
  request.setEntry(call.entry);
  request.setTo(KeyOf(options_.ledgers - 1));
  Watch(call, request.send().then([this, call](auto&& reply) { Returned(call, reply.getPage()); }));
}

void Ledgers::Fail(const std::string& client, const std::string& key) {
  books_[key].failing.insert(next_entry_);
  auto call = Begin(client, key, next_entry_++);
  auto request = Get(client, key).failRequest();
  request.setEntry(call.entry);
  Watch(call, request.send().then([this, call](auto&&) {
    Close(call);
    problem_("failed turn", absl::StrCat(call.key, ": a call that fails was answered"));
  }));
}

// ---- What answers show

void Ledgers::Ended(const Call& call, const kj::Exception& exception) {
  if (books_[call.key].failing.contains(call.entry)) return;
  const auto type = exception.getType();
  if (type != kj::Exception::Type::FAILED && type != kj::Exception::Type::UNIMPLEMENTED) return;
  // An error of the callee that a deadline caused is the turn's own.
  const std::string words = Words(exception);
  if (words.find("StateLost") != std::string::npos) return;  // Judged by Invariants.
  if (words.find("no answer from actor") != std::string::npos) return;
  problem_("exactly once",
           absl::StrCat(call.client, " at ", call.key, ", entry ", call.entry, ": ", words));
}

void Ledgers::Close(const Call& call) {
  --open_;
  --open_at_[{call.client, call.key}];
}

void Ledgers::Returned(const Call& call, Page::Reader page) {
  Close(call);
  history_.Return(cluster_.world().Now(), call.number, absl::StrCat(page.getLength()));
  const std::string what = absl::StrCat(call.client, call.entry == 0 ? " read " : " append ",
                                        call.entry, " at ", call.key);
  Shown(what, call.key, page);
  if (page.getLength() < call.newest) {
    problem_(call.entry == 0 ? "stale read" : "lost write",
             absl::StrCat(what, " shows ", page.getLength(), " entries; ", call.newest,
                          " were answered before it began"));
  }
  if (call.entry == 0) return;
  Book& book = books_[call.key];
  book.answered.insert(call.entry);
  auto& [order, length] = in_order_[{call.client, call.key}];
  if ((call.order > order) != (page.getLength() > length)) {
    problem_("order", absl::StrCat(what, " took effect as entry ", page.getLength(),
                                   " but another call of this client as ", length));
  }
  if (call.order > order) {
    order = call.order;
    length = page.getLength();
  }
}

void Ledgers::Shown(const std::string& what, const std::string& key, Page::Reader page) {
  ++answered_;
  Book& book = books_[key];
  if (page.getDoubled()) problem_("exactly once", absl::StrCat(what, ": an entry is there twice"));
  if (page.getOpen()) problem_("open turn", absl::StrCat(what, ": shows an open turn"));
  if (page.getLength() > book.asked.size()) {
    problem_("exactly once", absl::StrCat(what, " shows ", page.getLength(), " entries, only ",
                                          book.asked.size(), " were asked for"));
  }
  Fact(what, key, page.getLength(), page.getHash());
  book.newest = std::max(book.newest, page.getLength());
}

void Ledgers::Fact(const std::string& what, const std::string& key, uint64_t length,
                   uint64_t hash) {
  auto [it, fresh] = books_[key].hashes.try_emplace(length, hash);
  if (fresh || it->second == hash) return;
  problem_("one history", absl::StrCat(what, " shows other first ", length, " entries of ", key,
                                       " than were shown before"));
}

// ---- Copies

void Ledgers::CheckState(const std::string& who, const std::string& key, const std::string* state) {
  const Book& book = books_[key];
  if (book.newest == 0) return;
  kj::Array<capnp::word> words;
  std::vector<uint64_t> entries;
  if (state != nullptr && !state->empty()) {
    words = CopyWords(*state);
    capnp::FlatArrayMessageReader reader(words);
    const auto root = reader.getRoot<LedgerState>();
    for (uint64_t entry : root.getEntries()) entries.push_back(entry);
    if (root.getOpen()) {
      problem_("open turn", absl::StrCat(who, " has the state of an open turn of ", key));
    }
  }
  if (entries.size() < book.newest) {
    problem_("copies", absl::StrCat(who, " could be elected and has ", entries.size(),
                                    " entries of ", key, "; ", book.newest, " were answered"));
    return;
  }
  auto sorted = entries;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    problem_("exactly once", absl::StrCat(who, " has an entry of ", key, " twice"));
  }
  uint64_t hash = 0;
  for (size_t i = 0; i < book.newest; ++i) hash = ExtendHash(hash, entries[i]);
  const auto fact = book.hashes.find(book.newest);
  if (fact != book.hashes.end() && fact->second != hash) {
    problem_("copies", absl::StrCat(who, " could be elected and has another history of ", key));
  }
}

}  // namespace troupe::sim
