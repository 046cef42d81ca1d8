// Generated from kinds.capnp by capnpc-troupe. To change it, change the schema.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kinds.capnp.h"
#include "kj/function.h"
#include "troupe/actors/actor.h"
#include "money.troupe.h"

namespace kinds {

// Calls Kinds actors, wherever they are. A value: copy it, compare it, keep it, send it.
// Its methods are templates so that those which a file does not call cost it nothing.
class Kinds::Ref : public troupe::RefTo<Kinds> {
 public:
  using RefTo::RefTo;
  static constexpr char kName[] = "Kinds";
  operator ::kinds::Named::Ref() const;

  // Read-only.
  template <typename = void>
  troupe::Task<std::string> Name() const;

  template <typename = void>
  troupe::Task<Kinds::CloseReply> Close() const;

  // Read-only.
  template <typename = void>
  troupe::Task<bool> IsClosed() const;

  // Takes and gives nothing.
  template <typename = void>
  troupe::Task<void> Nothing() const;

  // Read-only.
  template <typename = void>
  troupe::Task<double> Numbers(
      int8_t a, int16_t b, int32_t c, int64_t d, uint8_t e, uint16_t f, uint32_t g, uint64_t h,
      float i, double j, bool k) const;

  // Read-only.
  template <typename = void>
  troupe::Task<Kinds::TextsReply> Texts(std::string_view text, std::string_view data) const;

  // Read-only.
  template <typename = void>
  troupe::Task<std::string> Optional(
      uint64_t by = 3u, std::string_view name = "say \"hi\"", Colour colour = Colour::BLUE) const;

  // Read-only.
  template <typename = void>
  troupe::Task<Kinds::MoveReply> Move(const Point::Value& from, Colour colour) const;

  // The structs themselves are parameter and result.
  // Deadline: 1500 ms.
  template <typename = void>
  troupe::Task<::kinds::Money::Value> Pay(const ::kinds::Money::Value& money) const;

  // Read-only.
  template <typename = void>
  troupe::Task<uint64_t> Sum(capnp::List<uint64_t>::Reader numbers, uint64_t scale) const;
  // The same; `fill` runs at once and writes the parameters where they are sent from.
  template <typename = void>
  troupe::Task<uint64_t> SumWith(kj::FunctionParam<void(Kinds::SumParams::Builder)> fill) const;

  // Read-only.
  template <typename = void>
  troupe::Task<capnp::Response<Kinds::CountResults>> Count(uint32_t to) const;

  // Read-only.
  template <typename = void>
  troupe::Task<capnp::Response<Kinds::DrawResults>> Draw(
      Shape::Reader shape, capnp::List<Shape>::Reader more) const;
  // The same; `fill` runs at once and writes the parameters where they are sent from.
  template <typename = void>
  troupe::Task<capnp::Response<Kinds::DrawResults>> DrawWith(
      kj::FunctionParam<void(Kinds::DrawParams::Builder)> fill) const;

  // Read-only.
  template <typename = void>
  troupe::Task<capnp::Response<Kinds::EchoResults>> Echo(
      capnp::AnyPointer::Reader anything) const;
  // The same; `fill` runs at once and writes the parameters where they are sent from.
  template <typename = void>
  troupe::Task<capnp::Response<Kinds::EchoResults>> EchoWith(
      kj::FunctionParam<void(Kinds::EchoParams::Builder)> fill) const;

  // Read-only.
  template <typename = void>
  troupe::Task<capnp::Response<Shape>> Reshape(Shape::Reader shape) const;
  // The same; `fill` runs at once and writes the parameters where they are sent from.
  template <typename = void>
  troupe::Task<capnp::Response<Shape>> ReshapeWith(
      kj::FunctionParam<void(Shape::Builder)> fill) const;

  // Read-only.
  template <typename = void>
  troupe::Task<uint32_t> Audit(::kinds::Ledger::Reader ledger) const;
  // The same; `fill` runs at once and writes the parameters where they are sent from.
  template <typename = void>
  troupe::Task<uint32_t> AuditWith(
      kj::FunctionParam<void(Kinds::AuditParams::Builder)> fill) const;

  // Names that C++ has taken.
  // Read-only.
  template <typename = void>
  troupe::Task<Kinds::ClassReply> Class(uint64_t new_, std::string_view delete_) const;

  // Keeps the ref, and gives the one it had.
  template <typename = void>
  troupe::Task<Kinds::Ref> Befriend(const Kinds::Ref& friend_) const;

  // Keeps the refs too.
  template <typename = void>
  troupe::Task<capnp::Response<Kinds::FriendsResults>> Friends(
      capnp::List<Kinds>::Reader all, const ::kinds::Named::Ref& named) const;
  // The same; `fill` runs at once and writes the parameters where they are sent from.
  template <typename = void>
  troupe::Task<capnp::Response<Kinds::FriendsResults>> FriendsWith(
      kj::FunctionParam<void(Kinds::FriendsParams::Builder)> fill) const;

  // Calls who is kept.
  template <typename = void>
  troupe::Task<std::string> AskFriend(uint64_t by) const;

  template <typename = void>
  troupe::Task<void> Fail(std::string_view text) const;
};

// Where something is.
struct Point::Value {
  int32_t x = -1;
  int32_t y = 0;
  std::string label;
  Colour colour = {};

  static Value Read(Point::Reader in_);
  void Write(Point::Builder out_) const;
  friend bool operator==(const Value&, const Value&) = default;
};

// What `close` returns.
struct Kinds::CloseReply {
  uint32_t calls = 0;
  std::string last;
  friend bool operator==(const CloseReply&, const CloseReply&) = default;
};

// What `texts` returns.
struct Kinds::TextsReply {
  std::string text;
  std::string data;
  friend bool operator==(const TextsReply&, const TextsReply&) = default;
};

// What `move` returns.
struct Kinds::MoveReply {
  Point::Value to;
  Colour colour = {};
  friend bool operator==(const MoveReply&, const MoveReply&) = default;
};

// What `class` returns.
struct Kinds::ClassReply {
  uint64_t class_ = 0;
  std::string int_;
  friend bool operator==(const ClassReply&, const ClassReply&) = default;
};

// An actor with a method of every kind.
//
// It remembers.
//
// What such an actor derives from. Save() and Load() keep its state as KindsState.
class Kinds::Actor : public troupe::TypedActor<Kinds, KindsState> {
 public:
  // Read-only.
  virtual troupe::Task<std::string> Name() = 0;

  virtual troupe::Task<Kinds::CloseReply> Close() = 0;

  // Read-only.
  virtual troupe::Task<bool> IsClosed() = 0;

  // Takes and gives nothing.
  virtual troupe::Task<void> Nothing() = 0;

  // Read-only.
  virtual troupe::Task<double> Numbers(
      int8_t a, int16_t b, int32_t c, int64_t d, uint8_t e, uint16_t f, uint32_t g, uint64_t h,
      float i, double j, bool k) = 0;

  // Read-only.
  virtual troupe::Task<Kinds::TextsReply> Texts(std::string text, std::string data) = 0;

  // Read-only.
  virtual troupe::Task<std::string> Optional(uint64_t by, std::string name, Colour colour) = 0;

  // Read-only.
  virtual troupe::Task<Kinds::MoveReply> Move(Point::Value from, Colour colour) = 0;

  // The structs themselves are parameter and result.
  // Deadline: 1500 ms.
  virtual troupe::Task<::kinds::Money::Value> Pay(::kinds::Money::Value money) = 0;

  // Read-only.
  virtual troupe::Task<uint64_t> Sum(capnp::List<uint64_t>::Reader numbers, uint64_t scale) = 0;

  // Read-only.
  virtual troupe::Task<void> Count(uint32_t to, Kinds::CountResults::Builder results) = 0;

  // Read-only.
  virtual troupe::Task<void> Draw(
      Shape::Reader shape, capnp::List<Shape>::Reader more,
      Kinds::DrawResults::Builder results) = 0;

  // Read-only.
  virtual troupe::Task<void> Echo(
      capnp::AnyPointer::Reader anything, Kinds::EchoResults::Builder results) = 0;

  // Read-only.
  virtual troupe::Task<void> Reshape(Shape::Reader shape, Shape::Builder results) = 0;

  // Read-only.
  virtual troupe::Task<uint32_t> Audit(::kinds::Ledger::Reader ledger) = 0;

  // Names that C++ has taken.
  // Read-only.
  virtual troupe::Task<Kinds::ClassReply> Class(uint64_t new_, std::string delete_) = 0;

  // Keeps the ref, and gives the one it had.
  virtual troupe::Task<Kinds::Ref> Befriend(Kinds::Ref friend_) = 0;

  // Keeps the refs too.
  virtual troupe::Task<void> Friends(
      capnp::List<Kinds>::Reader all, ::kinds::Named::Ref named,
      Kinds::FriendsResults::Builder results) = 0;

  // Calls who is kept.
  virtual troupe::Task<std::string> AskFriend(uint64_t by) = 0;

  virtual troupe::Task<void> Fail(std::string text) = 0;

  // Takes the calls that arrive to the methods above.
  template <typename = void>
  static troupe::Dispatched Dispatch(
      Actor& self_, uint64_t interface_, uint16_t method_, troupe::AnyCall call_);
};

}  // namespace kinds

#include "kinds.troupe-inl.h"
