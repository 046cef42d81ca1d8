// Transactions on real processes and real sockets: nobody sees a half, though a node is killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "bank.troupe.h"
#include "cluster_processes.h"
#include "node_ending.h"
#include "troupe/actors/client.h"
#include "troupe/runtime/kj_time.h"
#include "troupe/runtime/uv_machine.h"

namespace troupe {
namespace {

const absl::Duration kLimit = TROUPE_TEST_SLOWDOWN * absl::Seconds(30);

class TransactionProcessTest : public ::testing::Test {
 protected:
  TransactionProcessTest() {
    SetStandardErrorLogLevel(LogLevel::kError);
    machine_ = std::move(UvMachine::Create({.node = "test"})).value();
    char directory[] = "/tmp/troupe-transaction-test-XXXXXX";
    directory_ = mkdtemp(directory);
    nodes_ =
        std::make_unique<ClusterProcesses>(ClusterPlan{.binary = TROUPE_BANK,
                                                       .directory = directory_,
                                                       .places = ClusterProcesses::OnLoopback(3),
                                                       .arguments = {}});
    nodes_->StartAll();
    client_ =
        std::make_unique<Client>(machine_->control(), ClientOptions{.nodes = nodes_->addresses()});
  }
  ~TransactionProcessTest() noexcept override {
    client_ = nullptr;
    nodes_ = nullptr;
    if (!HasFailure()) std::filesystem::remove_all(directory_);
  }
  void TearDown() override { EXPECT_THAT(EndNodes(*nodes_), ::testing::IsEmpty()); }

  template <typename T>
  T Await(kj::Promise<T> promise) {
    auto late = machine_->control().timer().afterDelay(ToKj(kLimit)).then([]() -> kj::Promise<T> {
      return KJ_EXCEPTION(FAILED, "no answer in time");
    });
    return promise.exclusiveJoin(kj::mv(late)).wait(machine_->wait_scope());
  }

  // The same to each of two accounts.
  Task<void> Pay(uint64_t pair, uint64_t amount) {
    return client_->Transact(
        [pair, amount, this](Transaction& tx) { return PayBody(tx, pair, amount); });
  }
  static Task<void> PayBody(Transaction& tx, uint64_t pair, uint64_t amount) {
    co_await tx.Get<Account>("left" + std::to_string(pair)).Deposit(amount);
    co_await tx.Get<Account>("right" + std::to_string(pair)).Deposit(amount);
  }
  static Task<bool> LookBody(Transaction& tx, uint64_t pair) {
    auto left = co_await tx.Get<Account>("left" + std::to_string(pair)).Balance();
    auto right = co_await tx.Get<Account>("right" + std::to_string(pair)).Balance();
    co_return left == right;
  }
  Task<void> PayOn(uint64_t pair) {
    while (!stop_) {
      auto paid = Pay(pair, 1);
      auto outcome = co_await Settled(paid);
      if (outcome.ok()) ++paid_;
      auto look = client_->Transact([pair](Transaction& tx) { return LookBody(tx, pair); });
      auto seen = co_await Settled(look);
      if (seen.ok() && !seen.value()) ++halves_;
    }
  }

  kj::Own<UvMachine> machine_;
  std::string directory_;
  std::unique_ptr<ClusterProcesses> nodes_;
  std::unique_ptr<Client> client_;
  bool stop_ = false;
  uint64_t paid_ = 0;
  uint64_t halves_ = 0;
};

TEST_F(TransactionProcessTest, NobodySeesAHalfThoughANodeIsKilled) {
  std::vector<kj::Promise<void>> payers;
  for (uint64_t pair = 0; pair < 4; ++pair) {
    Await(Pay(pair, 1).AsPromise());
    payers.push_back(PayOn(pair).AsPromise().eagerlyEvaluate(nullptr));
  }
  auto& timer = machine_->control().timer();
  for (size_t victim : {0, 1}) {
    timer.afterDelay(300 * kj::MILLISECONDS).wait(machine_->wait_scope());
    nodes_->Kill(victim, SIGKILL);
    timer.afterDelay(1500 * kj::MILLISECONDS).wait(machine_->wait_scope());
    nodes_->Start(victim);
    timer.afterDelay(3 * kj::SECONDS).wait(machine_->wait_scope());
  }
  stop_ = true;
  for (auto& payer : payers) Await(kj::mv(payer));
  EXPECT_GT(paid_, 50u);
  EXPECT_EQ(halves_, 0u);
  for (uint64_t pair = 0; pair < 4; ++pair) {
    const auto left =
        Await(client_->Get<Account>("left" + std::to_string(pair)).Balance().AsPromise());
    EXPECT_EQ(Await(client_->Get<Account>("right" + std::to_string(pair)).Balance().AsPromise()),
              left);
  }
}

}  // namespace
}  // namespace troupe
