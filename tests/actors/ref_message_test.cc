// Messages with refs: what is written is what is read; what cannot be, or is malformed, is refused.
#include "troupe/actors/ref_message.h"

#include <gtest/gtest.h>

#include <string>

#include "troupe/actors/any_ref.h"
#include "troupe/actors/call.capnp.h"
#include "troupe/actors/call.h"
#include "troupe/actors/gateway.capnp.h"

namespace troupe {
namespace {

// Notes whom it calls.
class NotingOrigin final : public CallOrigin {
 public:
  kj::Promise<Payload> Call(const ActorId& target, uint64_t, uint16_t, Payload,
                            const CallOptions&) override {
    called = target.ToString();
    return Payload();
  }
  std::string called;
};

class RefMessage : public ::testing::Test {
 protected:
  ~RefMessage() noexcept override {}
  capnp::Capability::Client RefOf(ActorId actor) {
    return ReferTo(kj::addRef(*origin_), std::move(actor), CallOptions());
  }
  // `message` with the table behind it.
  kj::Array<capnp::word> With(capnp::MessageBuilder& message, capnp::MessageBuilder& table) {
    auto first = capnp::messageToFlatArray(message);
    auto second = capnp::messageToFlatArray(table);
    auto out = kj::heapArray<capnp::word>(first.size() + second.size());
    memcpy(out.asBytes().begin(), first.asBytes().begin(), first.asBytes().size());
    memcpy(out.asBytes().begin() + first.asBytes().size(), second.asBytes().begin(),
           second.asBytes().size());
    return out;
  }
  kj::Own<NotingOrigin> origin_ = kj::refcounted<NotingOrigin>();
};

using Results = gateway::Node::ActorResults;  // A struct with a capability.

TEST_F(RefMessage, KeepsWhomARefNamesThroughWords) {
  OutgoingMessage out;
  out.root().initAs<Results>().setActor(RefOf({7, std::string("k\0y", 3)}));
  auto words = out.ToWords();
  CheckMessage(words);
  IncomingMessage in(Payload::Copy(words), kj::addRef(*origin_));
  auto hook = capnp::ClientHook::from(in.root().getAs<Results>().getActor());
  ASSERT_NE(FindActor(*hook), nullptr);
  EXPECT_EQ(*FindActor(*hook), (ActorId{7, std::string("k\0y", 3)}));
}

TEST_F(RefMessage, WithoutRefsHasNothingBehindIt) {
  OutgoingMessage out;
  out.root().initAs<Results>();
  auto words = out.ToWords();
  capnp::FlatArrayMessageReader reader(words);
  EXPECT_EQ(reader.getEnd(), words.end());
  IncomingMessage in(Payload::Copy(words), kj::addRef(*origin_));
  EXPECT_TRUE(capnp::ClientHook::from(in.root().getAs<Results>().getActor())->isNull());
}

TEST_F(RefMessage, IsTheSameWordsForTheSameContent) {
  auto make = [this] {
    OutgoingMessage out;
    out.root().initAs<Results>().setActor(RefOf({7, "key"}));
    return out.ToWords();
  };
  EXPECT_TRUE(make().asBytes() == make().asBytes());
}

TEST_F(RefMessage, RefusesACapabilityThatIsNoRef) {
  struct Stranger final : public gateway::Node::Server {};
  OutgoingMessage out;
  out.root().initAs<Results>().setActor(kj::heap<Stranger>());
  EXPECT_THROW(out.ToWords(), kj::Exception);
}

TEST_F(RefMessage, RefusesAMalformedTable) {
  capnp::MallocMessageBuilder message, many, long_key, cut;
  message.initRoot<Results>();
  many.initRoot<wire::RefTable>().initRefs(kRefsMax + 1);
  EXPECT_THROW(CheckMessage(With(message, many)), kj::Exception);
  EXPECT_THROW(IncomingMessage(Payload::Own(With(message, many)), kj::addRef(*origin_)).root(),
               kj::Exception);
  long_key.initRoot<wire::RefTable>().initRefs(1)[0].initKey(kKeyBytesMax + 1);
  EXPECT_THROW(CheckMessage(With(message, long_key)), kj::Exception);
  cut.initRoot<wire::RefTable>().initRefs(100);
  auto words = With(message, cut);
  EXPECT_THROW(CheckMessage(words.slice(0, words.size() - 10)), kj::Exception);
}

TEST_F(RefMessage, RefusesAnIndexBeyondTheTable) {
  OutgoingMessage out;
  out.root().initAs<Results>().setActor(RefOf({7, "key"}));
  auto words = out.ToWords();
  capnp::FlatArrayMessageReader reader(words);
  auto alone = words.slice(0, static_cast<size_t>(reader.getEnd() - words.begin()));
  IncomingMessage in(Payload::Copy(alone), kj::addRef(*origin_));
  EXPECT_THROW(in.root().getAs<Results>().getActor(), kj::Exception);
}

}  // namespace
}  // namespace troupe
