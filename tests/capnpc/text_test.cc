// What the generator finds in text: lines of declarations, and where to declare more in a header.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "names.h"
#include "source_lines.h"
#include "text.h"

namespace troupe::capnpc {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

TEST(SourceLines, AreThoseOfDeclarations) {
  const SourceLines lines(R"(@0xd6b3e9074f1c82a5;
using Troupe = import "/a { b.capnp";  # interface NotThis {
const text :Text = "struct \" Neither {";

interface Account extends(Named)
    $Troupe.actor(state = "AccountState") {
  deposit @0 (amount :UInt64)
    -> (balance :UInt64);
  struct @1 () -> ();
  struct Inner {
    value @0 :UInt64;
    union { a @1 :Text; b :group { c @2 :Text; } }
    named :union {
      d @3 :Text; e @4 :Text;
    }
  }
  last @2 () -> ();
}
enum Colour { red @0;
  green @1; })");
  EXPECT_THAT(lines.Find("Account"), Optional(5));
  EXPECT_THAT(lines.Find("Account.deposit"), Optional(7));
  EXPECT_THAT(lines.Find("Account.struct"), Optional(9));
  EXPECT_THAT(lines.Find("Account.Inner"), Optional(10));
  EXPECT_THAT(lines.Find("Account.Inner.value"), Optional(11));
  EXPECT_THAT(lines.Find("Account.Inner.a"), Optional(12));
  EXPECT_THAT(lines.Find("Account.Inner.b.c"), Optional(12));
  EXPECT_THAT(lines.Find("Account.Inner.named.e"), Optional(14));
  EXPECT_THAT(lines.Find("Account.last"), Optional(17));
  EXPECT_THAT(lines.Find("Colour.green"), Optional(20));
  EXPECT_EQ(lines.Find("NotThis"), std::nullopt);
  EXPECT_EQ(lines.Find("Neither"), std::nullopt);
}

TEST(SourceLines, DoNotFailOnTextThatIsNoSchema) {
  for (const char* text : {"", "}", "}}}{", "\"", "# only", "struct", "struct {", "a\"\\"}) {
    EXPECT_EQ(SourceLines(text).Find("struct.x"), std::nullopt) << text;
  }
}

File OneActor() {
  File file;
  file.schema = "dir/bank.capnp";
  file.declarations = {{"Bank::Account", "Account", {"class Actor;", "class Ref;"}}};
  return file;
}

// As 0.9 and 1.x write it, but for what follows.
constexpr char kHeader[] =
    "namespace bank {\n\nstruct Bank {\n  Bank() = delete;\n};\n\nstruct Bank::Account {\n"
    "  Account() = delete;\n\n#if !CAPNP_LITE\n  class Client;\n";

TEST(Declare, AddsToTheStructOfTheScope) {
  std::string missing;
  EXPECT_THAT(Declare(OneActor(), kHeader, missing),
              Optional(HasSubstr("struct Bank::Account {\n  Account() = delete;\n\n"
                                 "  // Of bank.troupe.h.\n  class Actor;\n  class Ref;\n\n#if")));
}

TEST(Declare, NamesWhatItDoesNotFind) {
  std::string missing;
  EXPECT_EQ(Declare(OneActor(), "struct Bank::Account final {\n", missing), std::nullopt);
  EXPECT_EQ(missing, "Bank::Account");
}

TEST(Names, OfCppFollowTheSchema) {
  EXPECT_EQ(SnakeCase("firstName"), "first_name");
  EXPECT_EQ(SnakeCase("userID"), "user_id");
  EXPECT_EQ(SnakeCase("httpURLPath"), "http_url_path");
  EXPECT_EQ(SnakeCase("delete"), "delete_");
  EXPECT_EQ(Pascal("isClosed"), "IsClosed");
}

TEST(Unqualified, KeepsWhatTheNamespaceHides) {
  File file;
  EXPECT_EQ(Unqualified(file, "::troupe::Task<::capnp::Text> f(); // ::kj::x"),
            "troupe::Task<capnp::Text> f(); // ::kj::x");
  EXPECT_EQ(Unqualified(file, "\n::troupe::A a(::my::B());"), "\ntroupe::A a(::my::B());");
  file.namespaces = {"my", "troupe"};
  EXPECT_EQ(Unqualified(file, " ::troupe::A<::kj::B>"), " ::troupe::A<kj::B>");
}

}  // namespace
}  // namespace troupe::capnpc
