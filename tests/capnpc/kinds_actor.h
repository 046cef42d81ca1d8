// KindsActor: what the tests of generated code call; see kinds.capnp.
#pragma once

#include <string>
#include <vector>

#include "kinds.troupe.h"
#include "kj/debug.h"

namespace kinds {

class KindsActor final : public Kinds::Actor {
  Task<std::string> Name() override { co_return context().id().key; }
  Task<Kinds::CloseReply> Close() override { co_return {++calls_, friend_.ToString()}; }
  Task<bool> IsClosed() override { co_return calls_ > 0; }
  Task<void> Nothing() override {
    ++calls_;
    co_return;
  }
  Task<double> Numbers(int8_t a, int16_t b, int32_t c, int64_t d, uint8_t e, uint16_t f, uint32_t g,
                       uint64_t h, float i, double j, bool k) override {
    const double whole = double(a) + b + c + double(d) + e + f + g + double(h);
    co_return k ? whole + double(i) + j : 0;
  }
  Task<Kinds::TextsReply> Texts(std::string text, std::string data) override {
    co_return {data, text};
  }
  Task<std::string> Optional(uint64_t by, std::string name, Colour colour) override {
    co_return name + " " + std::to_string(by) + " " + std::to_string(static_cast<int>(colour));
  }
  Task<Kinds::MoveReply> Move(Point::Value from, Colour colour) override {
    std::swap(from.x, from.y);
    co_return {from, colour};
  }
  Task<Money::Value> Pay(Money::Value money) override {
    money.units *= 2;
    co_return money;
  }
  Task<uint64_t> Sum(capnp::List<uint64_t>::Reader numbers, uint64_t scale) override {
    uint64_t sum = 0;
    for (auto number : numbers) sum += number;
    co_return sum* scale;
  }
  Task<void> Count(uint32_t to, Kinds::CountResults::Builder results) override {
    auto numbers = results.initNumbers(to);
    for (uint32_t i = 0; i < to; ++i) numbers.set(i, i);
    results.setNote("counted");
    co_return;
  }
  Task<void> Draw(Shape::Reader shape, capnp::List<Shape>::Reader more,
                  Kinds::DrawResults::Builder results) override {
    results.setShape(more.size() > 0 ? more[0] : shape);
    co_return;
  }
  Task<void> Echo(capnp::AnyPointer::Reader anything,
                  Kinds::EchoResults::Builder results) override {
    results.initAnything().set(anything);
    co_return;
  }
  Task<void> Reshape(Shape::Reader shape, Shape::Builder results) override {
    results.setSquare(shape.getCircle());
    co_return;
  }
  Task<uint32_t> Audit(Ledger::Reader ledger) override { co_return ledger.getLines(); }
  Task<Kinds::ClassReply> Class(uint64_t new_, std::string delete_) override {
    co_return {new_, delete_};
  }
  Task<Kinds::Ref> Befriend(Kinds::Ref friend_ref) override {
    std::swap(friend_ref, friend_);
    co_return friend_ref;
  }
  Task<void> Friends(capnp::List<Kinds>::Reader all, Named::Ref named,
                     Kinds::FriendsResults::Builder results) override {
    for (auto one : all) friends_.emplace_back(one);
    friends_.emplace_back(Kinds::Ref(named));
    auto out = results.initAll(static_cast<unsigned>(friends_.size()));
    for (unsigned i = 0; i < out.size(); ++i) out.set(i, friends_[i]);
    results.setCount(out.size());
    co_return;
  }
  Task<std::string> AskFriend(uint64_t by) override {
    calls_ += static_cast<uint32_t>(by);
    std::string name = co_await friend_.Name();
    for (auto& one : friends_) {
      std::string more = co_await one.Name();
      name += "," + more;
    }
    co_return name;
  }
  Task<void> Fail(std::string text) override {
    ++calls_;
    auto failure = KJ_EXCEPTION(FAILED, "told to fail", text);
    co_await troupe::Fail(kj::mv(failure));
  }

  Task<void> Write(std::string chunk, uint64_t at) override {
    if (at == 0) text_.clear();
    if (at != text_.size()) co_await troupe::Fail("a gap before byte " + std::to_string(at));
    text_ += chunk;
  }
  Task<void> Plot(capnp::List<Point>::Reader points, std::string label) override {
    text_ += label + std::to_string(points.size());
    co_return;
  }
  Task<std::string> Written() override { co_return text_; }

  void Save(KindsState::Builder out) const override {
    out.setCalls(calls_);
    out.setFriend(friend_);
    auto friends = out.initFriends(static_cast<unsigned>(friends_.size()));
    for (unsigned i = 0; i < friends.size(); ++i) friends.set(i, friends_[i]);
    friend_.Write(out.initWritten());
  }
  void Load(KindsState::Reader in) override {
    calls_ = in.getCalls();
    friend_ = in.getFriend();
    for (auto one : in.getFriends()) friends_.emplace_back(one);
    KJ_REQUIRE(context().Get<Kinds>(in.getWritten()) == friend_);
  }

  uint32_t calls_ = 0;
  Kinds::Ref friend_;
  std::vector<Kinds::Ref> friends_;
  std::string text_;  // Of this object alone.
};

}  // namespace kinds
