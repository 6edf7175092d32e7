// What to do about token files that cannot be read: behind each refusal.
#pragma once

namespace metascale {

inline constexpr const char* make_token_files_anew =
    "; make the token files anew with metascale data prepare, or fetch them again";

}  // namespace metascale
