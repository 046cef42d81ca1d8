// BoxOfficeActor: what docs/guide/testing.md tests.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "box_office.troupe.h"
#include "kj/debug.h"

class BoxOfficeActor final : public BoxOffice::Actor {
  Task<void> Open(uint32_t seats) override {
    free_ += seats;
    co_return;
  }
  Task<uint32_t> Sell(uint32_t seats, std::string to) override {
    KJ_REQUIRE(seats <= free_, "sold out");
    free_ -= seats;
    auto mailer = context().Get<Mailer>("smtp");
    co_await mailer.Send(to, absl::StrCat(seats, " seats"));
    co_return free_;
  }
  Task<void> Hold(uint32_t seats) override {
    KJ_REQUIRE(seats <= free_, "sold out");
    free_ -= seats;
    held_ += seats;
    context().SetReminder("free", {.after = absl::Minutes(15)});
    co_return;
  }
  Task<void> OnReminder(const troupe::DueReminder&) override {
    free_ += held_;
    held_ = 0;
    co_return;
  }
  Task<uint32_t> Left() override { co_return free_; }

  void Save(BoxOfficeState::Builder out) const override {
    out.setFree(free_);
    out.setHeld(held_);
  }
  void Load(BoxOfficeState::Reader in) override {
    free_ = in.getFree();
    held_ = in.getHeld();
  }
  uint32_t free_ = 0;
  uint32_t held_ = 0;
};
