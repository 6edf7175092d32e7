#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <string>

namespace {

constexpr int skipped_code = 77;  // for ctest; as tests/oracle
bool skipped = false;

// Hears WARN("skipped: why").
struct SkipListener : Catch::TestEventListenerBase {
  using TestEventListenerBase::TestEventListenerBase;
  bool assertionEnded(const Catch::AssertionStats& stats) override {
    const Catch::AssertionResult& result = stats.assertionResult;
    if (result.getResultType() == Catch::ResultWas::Warning)
      skipped = skipped || result.getMessage().rfind("skipped: ", 0) == 0;
    return true;
  }
};
CATCH_REGISTER_LISTENER(SkipListener)

}  // namespace

// A test that failed has failed, whatever it skipped.
int main(int count, char* arguments[]) {
  const int code = Catch::Session().run(count, arguments);
  return code == 0 && skipped ? skipped_code : code;
}
