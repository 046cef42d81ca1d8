// Generated from kinds.capnp by capnpc-troupe: how kinds.troupe.h, which includes this, does it.
#pragma once

#include "troupe/actors/generated.h"

namespace kinds {

inline Point::Value Point::Value::Read(Point::Reader in_) {
  Value value_;
  value_.x = in_.getX();
  value_.y = in_.getY();
  value_.label = troupe::ToString(in_.getLabel());
  value_.colour = in_.getColour();
  return value_;
}

inline void Point::Value::Write(Point::Builder out_) const {
  out_.setX(x);
  out_.setY(y);
  troupe::Fill(out_.initLabel(troupe::Room(label)), label);
  out_.setColour(colour);
}

inline Kinds::Ref::operator ::kinds::Named::Ref() const {
  return ::kinds::Named::Ref(static_cast<const troupe::AnyRef&>(*this));
}

template <typename>
troupe::Task<std::string> Kinds::Ref::Name() const {
  troupe::OutCall call_(*this, 0xd7a46118eb391623u, 0);
  call_.Params<::kinds::Named::NameParams>();
  return call_.Send<std::string>([](capnp::AnyPointer::Reader results_) {
    return troupe::ToString(results_.getAs<::kinds::Named::NameResults>().getName());
  });
}

template <typename>
troupe::Task<Kinds::CloseReply> Kinds::Ref::Close() const {
  troupe::OutCall call_(*this, 0x8eb45278211302b0u, 0);
  call_.Params<Closable::CloseParams>();
  return call_.Send<Kinds::CloseReply>([](capnp::AnyPointer::Reader results_) {
    auto in_ = results_.getAs<Closable::CloseResults>();
    return Kinds::CloseReply{in_.getCalls(), troupe::ToString(in_.getLast())};
  });
}

template <typename>
troupe::Task<bool> Kinds::Ref::IsClosed() const {
  troupe::OutCall call_(*this, 0x8eb45278211302b0u, 1);
  call_.Params<Closable::IsClosedParams>();
  return call_.Send<bool>([](capnp::AnyPointer::Reader results_) {
    return results_.getAs<Closable::IsClosedResults>().getClosed();
  });
}

template <typename>
troupe::Task<void> Kinds::Ref::Nothing() const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 0);
  call_.Params<Kinds::NothingParams>();
  return call_.Send();
}

template <typename>
troupe::Task<double> Kinds::Ref::Numbers(
    int8_t a, int16_t b, int32_t c, int64_t d, uint8_t e, uint16_t f, uint32_t g, uint64_t h,
    float i, double j, bool k) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 1);
  auto params_ = call_.Params<Kinds::NumbersParams>();
  params_.setA(a);
  params_.setB(b);
  params_.setC(c);
  params_.setD(d);
  params_.setE(e);
  params_.setF(f);
  params_.setG(g);
  params_.setH(h);
  params_.setI(i);
  params_.setJ(j);
  params_.setK(k);
  return call_.Send<double>([](capnp::AnyPointer::Reader results_) {
    return results_.getAs<Kinds::NumbersResults>().getSum();
  });
}

template <typename>
troupe::Task<Kinds::TextsReply> Kinds::Ref::Texts(
    std::string_view text, std::string_view data) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 2);
  auto params_ = call_.Params<Kinds::TextsParams>();
  troupe::Fill(params_.initText(troupe::Room(text)), text);
  troupe::Fill(params_.initData(troupe::Room(data)), data);
  return call_.Send<Kinds::TextsReply>([](capnp::AnyPointer::Reader results_) {
    auto in_ = results_.getAs<Kinds::TextsResults>();
    return Kinds::TextsReply{::troupe::ToString(in_.getText()), troupe::ToString(in_.getData())};
  });
}

template <typename>
troupe::Task<std::string> Kinds::Ref::Optional(
    uint64_t by, std::string_view name, Colour colour) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 3);
  auto params_ = call_.Params<Kinds::OptionalParams>();
  params_.setBy(by);
  troupe::Fill(params_.initName(troupe::Room(name)), name);
  params_.setColour(colour);
  return call_.Send<std::string>([](capnp::AnyPointer::Reader results_) {
    return troupe::ToString(results_.getAs<Kinds::OptionalResults>().getText());
  });
}

template <typename>
troupe::Task<Kinds::MoveReply> Kinds::Ref::Move(const Point::Value& from, Colour colour) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 4);
  auto params_ = call_.Params<Kinds::MoveParams>();
  from.Write(params_.initFrom());
  params_.setColour(colour);
  return call_.Send<Kinds::MoveReply>([](capnp::AnyPointer::Reader results_) {
    auto in_ = results_.getAs<Kinds::MoveResults>();
    return Kinds::MoveReply{Point::Value::Read(in_.getTo()), in_.getColour()};
  });
}

template <typename>
troupe::Task<::kinds::Money::Value> Kinds::Ref::Pay(const ::kinds::Money::Value& money) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 5, absl::Milliseconds(1500));
  money.Write(call_.Params<::kinds::Money>());
  return call_.Send<::kinds::Money::Value>([](capnp::AnyPointer::Reader results_) {
    return ::kinds::Money::Value::Read(results_.getAs<::kinds::Money>());
  });
}

template <typename>
troupe::Task<uint64_t> Kinds::Ref::Sum(
    capnp::List<uint64_t>::Reader numbers, uint64_t scale) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 6);
  auto params_ = call_.Params<Kinds::SumParams>();
  params_.setNumbers(numbers);
  params_.setScale(scale);
  return call_.Send<uint64_t>([](capnp::AnyPointer::Reader results_) {
    return results_.getAs<Kinds::SumResults>().getSum();
  });
}

template <typename>
troupe::Task<uint64_t> Kinds::Ref::SumWith(
    kj::FunctionParam<void(Kinds::SumParams::Builder)> fill) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 6);
  fill(call_.Params<Kinds::SumParams>());
  return call_.Send<uint64_t>([](capnp::AnyPointer::Reader results_) {
    return results_.getAs<Kinds::SumResults>().getSum();
  });
}

template <typename>
troupe::Task<capnp::Response<Kinds::CountResults>> Kinds::Ref::Count(uint32_t to) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 7);
  auto params_ = call_.Params<Kinds::CountParams>();
  params_.setTo(to);
  return call_.SendForResponse<Kinds::CountResults>();
}

template <typename>
troupe::Task<capnp::Response<Kinds::DrawResults>> Kinds::Ref::Draw(
    Shape::Reader shape, capnp::List<Shape>::Reader more) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 8);
  auto params_ = call_.Params<Kinds::DrawParams>();
  params_.setShape(shape);
  params_.setMore(more);
  return call_.SendForResponse<Kinds::DrawResults>();
}

template <typename>
troupe::Task<capnp::Response<Kinds::DrawResults>> Kinds::Ref::DrawWith(
    kj::FunctionParam<void(Kinds::DrawParams::Builder)> fill) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 8);
  fill(call_.Params<Kinds::DrawParams>());
  return call_.SendForResponse<Kinds::DrawResults>();
}

template <typename>
troupe::Task<capnp::Response<Kinds::EchoResults>> Kinds::Ref::Echo(
    capnp::AnyPointer::Reader anything) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 9);
  auto params_ = call_.Params<Kinds::EchoParams>();
  params_.initAnything().set(anything);
  return call_.SendForResponse<Kinds::EchoResults>();
}

template <typename>
troupe::Task<capnp::Response<Kinds::EchoResults>> Kinds::Ref::EchoWith(
    kj::FunctionParam<void(Kinds::EchoParams::Builder)> fill) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 9);
  fill(call_.Params<Kinds::EchoParams>());
  return call_.SendForResponse<Kinds::EchoResults>();
}

template <typename>
troupe::Task<capnp::Response<Shape>> Kinds::Ref::Reshape(Shape::Reader shape) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 10);
  call_.SetParams(shape);
  return call_.SendForResponse<Shape>();
}

template <typename>
troupe::Task<capnp::Response<Shape>> Kinds::Ref::ReshapeWith(
    kj::FunctionParam<void(Shape::Builder)> fill) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 10);
  fill(call_.Params<Shape>());
  return call_.SendForResponse<Shape>();
}

template <typename>
troupe::Task<uint32_t> Kinds::Ref::Audit(::kinds::Ledger::Reader ledger) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 11);
  auto params_ = call_.Params<Kinds::AuditParams>();
  params_.setLedger(ledger);
  return call_.Send<uint32_t>([](capnp::AnyPointer::Reader results_) {
    return results_.getAs<Kinds::AuditResults>().getLines();
  });
}

template <typename>
troupe::Task<uint32_t> Kinds::Ref::AuditWith(
    kj::FunctionParam<void(Kinds::AuditParams::Builder)> fill) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 11);
  fill(call_.Params<Kinds::AuditParams>());
  return call_.Send<uint32_t>([](capnp::AnyPointer::Reader results_) {
    return results_.getAs<Kinds::AuditResults>().getLines();
  });
}

template <typename>
troupe::Task<Kinds::ClassReply> Kinds::Ref::Class(uint64_t new_, std::string_view delete_) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 12);
  auto params_ = call_.Params<Kinds::ClassParams>();
  params_.setNew(new_);
  troupe::Fill(params_.initDelete(troupe::Room(delete_)), delete_);
  return call_.Send<Kinds::ClassReply>([](capnp::AnyPointer::Reader results_) {
    auto in_ = results_.getAs<Kinds::ClassResults>();
    return Kinds::ClassReply{in_.getClass(), troupe::ToString(in_.getInt())};
  });
}

template <typename>
troupe::Task<Kinds::Ref> Kinds::Ref::Befriend(const Kinds::Ref& friend_) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 13);
  auto params_ = call_.Params<Kinds::BefriendParams>();
  params_.setFriend(friend_);
  return call_.Send<Kinds::Ref>([](capnp::AnyPointer::Reader results_) {
    return Kinds::Ref(results_.getAs<Kinds::BefriendResults>().getBefore());
  });
}

template <typename>
troupe::Task<capnp::Response<Kinds::FriendsResults>> Kinds::Ref::Friends(
    capnp::List<Kinds>::Reader all, const ::kinds::Named::Ref& named) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 14);
  auto params_ = call_.Params<Kinds::FriendsParams>();
  params_.setAll(all);
  params_.setNamed(named);
  return call_.SendForResponse<Kinds::FriendsResults>();
}

template <typename>
troupe::Task<capnp::Response<Kinds::FriendsResults>> Kinds::Ref::FriendsWith(
    kj::FunctionParam<void(Kinds::FriendsParams::Builder)> fill) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 14);
  fill(call_.Params<Kinds::FriendsParams>());
  return call_.SendForResponse<Kinds::FriendsResults>();
}

template <typename>
troupe::Task<std::string> Kinds::Ref::AskFriend(uint64_t by) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 15);
  auto params_ = call_.Params<Kinds::AskFriendParams>();
  params_.setBy(by);
  return call_.Send<std::string>([](capnp::AnyPointer::Reader results_) {
    return troupe::ToString(results_.getAs<Kinds::AskFriendResults>().getFriendsName());
  });
}

template <typename>
troupe::Task<void> Kinds::Ref::Fail(std::string_view text) const {
  troupe::OutCall call_(*this, 0xc7bc4ac44ce26749u, 16);
  auto params_ = call_.Params<Kinds::FailParams>();
  troupe::Fill(params_.initText(troupe::Room(text)), text);
  return call_.Send();
}

template <typename>
troupe::Dispatched Kinds::Actor::Dispatch(
    Actor& self_, uint64_t interface_, uint16_t method_, troupe::AnyCall call_) {
  if (interface_ == 0xd7a46118eb391623u) {
    switch (method_) {
      case 0: {  // name
        return troupe::Answer<std::string>(
            self_.Name(), call_,
            [](capnp::AnyPointer::Builder results_, const std::string& value_) {
              auto out_ = results_.initAs<::kinds::Named::NameResults>();
              troupe::Fill(out_.initName(troupe::Room(value_)), value_);
            });
      }
    }
  }
  if (interface_ == 0x8eb45278211302b0u) {
    switch (method_) {
      case 0: {  // close
        return troupe::Answer<Kinds::CloseReply>(
            self_.Close(), call_,
            [](capnp::AnyPointer::Builder results_, const Kinds::CloseReply& value_) {
              auto out_ = results_.initAs<Closable::CloseResults>();
              out_.setCalls(value_.calls);
              troupe::Fill(out_.initLast(troupe::Room(value_.last)), value_.last);
            });
      }
      case 1: {  // isClosed
        return troupe::Answer<bool>(
            self_.IsClosed(), call_,
            [](capnp::AnyPointer::Builder results_, const bool& value_) {
              results_.initAs<Closable::IsClosedResults>().setClosed(value_);
            });
      }
    }
  }
  if (interface_ == 0xc7bc4ac44ce26749u) {
    switch (method_) {
      case 0: {  // nothing
        return troupe::Answer(self_.Nothing());
      }
      case 1: {  // numbers
        auto params_ = call_.getParams().getAs<Kinds::NumbersParams>();
        return troupe::Answer<double>(
            self_.Numbers(
                params_.getA(), params_.getB(), params_.getC(), params_.getD(), params_.getE(),
                params_.getF(), params_.getG(), params_.getH(), params_.getI(), params_.getJ(),
                params_.getK()), call_,
            [](capnp::AnyPointer::Builder results_, const double& value_) {
              results_.initAs<Kinds::NumbersResults>().setSum(value_);
            });
      }
      case 2: {  // texts
        auto params_ = call_.getParams().getAs<Kinds::TextsParams>();
        return troupe::Answer<Kinds::TextsReply>(
            self_.Texts(
                troupe::ToString(params_.getText()),
                troupe::ToString(params_.getData())), call_,
            [](capnp::AnyPointer::Builder results_, const Kinds::TextsReply& value_) {
              auto out_ = results_.initAs<Kinds::TextsResults>();
              troupe::Fill(out_.initText(troupe::Room(value_.text)), value_.text);
              troupe::Fill(out_.initData(troupe::Room(value_.data)), value_.data);
            });
      }
      case 3: {  // optional
        auto params_ = call_.getParams().getAs<Kinds::OptionalParams>();
        return troupe::Answer<std::string>(
            self_.Optional(
                params_.getBy(), troupe::ToString(params_.getName()), params_.getColour()), call_,
            [](capnp::AnyPointer::Builder results_, const std::string& value_) {
              auto out_ = results_.initAs<Kinds::OptionalResults>();
              troupe::Fill(out_.initText(troupe::Room(value_)), value_);
            });
      }
      case 4: {  // move
        auto params_ = call_.getParams().getAs<Kinds::MoveParams>();
        return troupe::Answer<Kinds::MoveReply>(
            self_.Move(Point::Value::Read(params_.getFrom()), params_.getColour()), call_,
            [](capnp::AnyPointer::Builder results_, const Kinds::MoveReply& value_) {
              auto out_ = results_.initAs<Kinds::MoveResults>();
              value_.to.Write(out_.initTo());
              out_.setColour(value_.colour);
            });
      }
      case 5: {  // pay
        auto params_ = call_.getParams().getAs<::kinds::Money>();
        return troupe::Answer<::kinds::Money::Value>(
            self_.Pay(::kinds::Money::Value::Read(params_)), call_,
            [](capnp::AnyPointer::Builder results_, const ::kinds::Money::Value& value_) {
              value_.Write(results_.initAs<::kinds::Money>());
            });
      }
      case 6: {  // sum
        auto params_ = call_.getParams().getAs<Kinds::SumParams>();
        return troupe::Answer<uint64_t>(
            self_.Sum(params_.getNumbers(), params_.getScale()), call_,
            [](capnp::AnyPointer::Builder results_, const uint64_t& value_) {
              results_.initAs<Kinds::SumResults>().setSum(value_);
            });
      }
      case 7: {  // count
        auto params_ = call_.getParams().getAs<Kinds::CountParams>();
        auto results_ = call_.getResults().initAs<Kinds::CountResults>();
        return troupe::Answer(self_.Count(params_.getTo(), results_));
      }
      case 8: {  // draw
        auto params_ = call_.getParams().getAs<Kinds::DrawParams>();
        auto results_ = call_.getResults().initAs<Kinds::DrawResults>();
        return troupe::Answer(self_.Draw(params_.getShape(), params_.getMore(), results_));
      }
      case 9: {  // echo
        auto params_ = call_.getParams().getAs<Kinds::EchoParams>();
        auto results_ = call_.getResults().initAs<Kinds::EchoResults>();
        return troupe::Answer(self_.Echo(params_.getAnything(), results_));
      }
      case 10: {  // reshape
        auto params_ = call_.getParams().getAs<Shape>();
        auto results_ = call_.getResults().initAs<Shape>();
        return troupe::Answer(self_.Reshape(params_, results_));
      }
      case 11: {  // audit
        auto params_ = call_.getParams().getAs<Kinds::AuditParams>();
        return troupe::Answer<uint32_t>(
            self_.Audit(params_.getLedger()), call_,
            [](capnp::AnyPointer::Builder results_, const uint32_t& value_) {
              results_.initAs<Kinds::AuditResults>().setLines(value_);
            });
      }
      case 12: {  // class
        auto params_ = call_.getParams().getAs<Kinds::ClassParams>();
        return troupe::Answer<Kinds::ClassReply>(
            self_.Class(params_.getNew(), troupe::ToString(params_.getDelete())), call_,
            [](capnp::AnyPointer::Builder results_, const Kinds::ClassReply& value_) {
              auto out_ = results_.initAs<Kinds::ClassResults>();
              out_.setClass(value_.class_);
              troupe::Fill(out_.initInt(troupe::Room(value_.int_)), value_.int_);
            });
      }
      case 13: {  // befriend
        auto params_ = call_.getParams().getAs<Kinds::BefriendParams>();
        return troupe::Answer<Kinds::Ref>(
            self_.Befriend(Kinds::Ref(params_.getFriend())), call_,
            [](capnp::AnyPointer::Builder results_, const Kinds::Ref& value_) {
              results_.initAs<Kinds::BefriendResults>().setBefore(value_);
            });
      }
      case 14: {  // friends
        auto params_ = call_.getParams().getAs<Kinds::FriendsParams>();
        auto results_ = call_.getResults().initAs<Kinds::FriendsResults>();
        return troupe::Answer(self_.Friends(
            params_.getAll(), ::kinds::Named::Ref(params_.getNamed()), results_));
      }
      case 15: {  // askFriend
        auto params_ = call_.getParams().getAs<Kinds::AskFriendParams>();
        return troupe::Answer<std::string>(
            self_.AskFriend(params_.getBy()), call_,
            [](capnp::AnyPointer::Builder results_, const std::string& value_) {
              auto out_ = results_.initAs<Kinds::AskFriendResults>();
              troupe::Fill(out_.initFriendsName(troupe::Room(value_)), value_);
            });
      }
      case 16: {  // fail
        auto params_ = call_.getParams().getAs<Kinds::FailParams>();
        return troupe::Answer(self_.Fail(troupe::ToString(params_.getText())));
      }
    }
  }
  // Says that there is no such method.
  return self_.Kinds::Server::dispatchCall(interface_, method_, call_);
}

}  // namespace kinds
