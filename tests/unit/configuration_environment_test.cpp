#include <string>
#include <unistd.h>

#include "support/configuration_sources.hpp"
#include "support/expect_error.hpp"
#include "support/option_fields.hpp"

namespace sqlane {
namespace {

using testing::error_of;
using testing::kPrefix;
using testing::mentions;
using testing::refusal_of_environment;
using testing::shown;
using testing::Variable;

TEST(Environment, RefusesAVariableThatIsNoKey) {
  const Variable variable("REDERS", "hunter2");
  const std::string message = refusal_of_environment();
  EXPECT_TRUE(mentions(message,
                       R"(there is no key "SQLANE_TEST_REDERS"; did you mean SQLANE_TEST_READERS? Allowed are )"
                       "SQLANE_TEST_PATH, SQLANE_TEST_MODE, SQLANE_TEST_READERS"))
      << message;
  EXPECT_FALSE(mentions(message, "hunter2"));
}

TEST(Environment, RefusesKeysInSmallLettersAndThePrefixAlone) {
  {
    const Variable variable("readers", "1");
    EXPECT_TRUE(mentions(refusal_of_environment(), "there is no key \"SQLANE_TEST_readers\""));
  }
  const Variable variable("", "1");
  EXPECT_TRUE(mentions(refusal_of_environment(), "there is no key \"SQLANE_TEST_\""));
}

TEST(Environment, NamesTheVariableWhoseValueIsRefused) {
  const Variable variable("READERS", "hunter2");
  const std::string message = refusal_of_environment();
  EXPECT_TRUE(message.starts_with("SQLANE_TEST_READERS must be a whole number")) << message;
  EXPECT_FALSE(mentions(message, "hunter2"));
}

TEST(Environment, LeavesOthersAlone) {
  const Variable variable("READERS", "3=4");
  EXPECT_EQ(shown(Options::from_environment("SQLANE_ELSE_")), shown(Options()));
  EXPECT_EQ(shown(Options::from_environment("QLANE_TEST_")), shown(Options()));
  EXPECT_EQ(shown(Options::from_environment("SQLANE_TEST_READERS_OF_ANOTHER_PROGRAM_")), shown(Options()));
}

TEST(Environment, TakesValuesWithAnEqualsSign) {
  const Variable variable("PATH", "a=b");
  EXPECT_EQ(Options::from_environment(kPrefix).path, "a=b");
}

TEST(Environment, NeedsAPrefixThatANameCanBeginWith) {
  for (const char* const prefix : {"", "SQLANE_TEST_PATH="}) {
    const UsageError error = error_of<UsageError>([&] { static_cast<void>(Options::from_environment(prefix)); });
    EXPECT_TRUE(mentions(error, "prefix of environment variables must not be empty")) << error.what();
  }
}

// An environment made by hand, as another program can leave it to this one.
class EnvironmentTest : public ::testing::Test {
 protected:
  ~EnvironmentTest() override { environ = before_; }

  std::string first = "SQLANE_TEST_READERS=1";
  std::string second = "SQLANE_TEST_READERS=2";
  std::string no_variable = "SQLANE_TEST_READERS";

 private:
  char** const before_ = environ;
};

TEST_F(EnvironmentTest, IsRefusedWithAVariableThatIsThereTwice) {
  char* variables[] = {first.data(), second.data(), nullptr};
  environ = variables;
  EXPECT_EQ(refusal_of_environment(), "SQLANE_TEST_READERS is given twice");
}

TEST_F(EnvironmentTest, MayHoldWhatIsNoVariable) {
  char* variables[] = {no_variable.data(), second.data(), nullptr};
  environ = variables;
  EXPECT_EQ(Options::from_environment(kPrefix).readers, 2U);
}

TEST_F(EnvironmentTest, MayBeMissing) {
  environ = nullptr;  // as clearenv() leaves it
  EXPECT_EQ(shown(Options::from_environment(kPrefix)), shown(Options()));
}

}  // namespace
}  // namespace sqlane
