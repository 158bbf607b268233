//! People's accounts: what a name and a password must be, and how often a password may be guessed.

/// Characters of a password: length is what makes it hard to guess, so there are no rules about digits and signs
/// (NIST SP 800-63B).
pub const PASSWORD_CHARACTERS: std::ops::RangeInclusive<usize> = 10..=256;
/// Characters of a name.
const NAME_CHARACTERS: usize = 48;

/// How long failures are remembered, and how long a name is locked, in milliseconds.
pub const LOCKED_MS: i64 = 15 * 60 * 1000;
/// Failures in a row that lock a name.
const FAILURES: u32 = 5;

/// Why an account cannot be as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error("a name has 1 to 48 characters, none of them a control character, none a blank at either end")]
    Name,
    #[error("a password has 10 to 256 characters")]
    Length,
    #[error("a password must not be the name")]
    IsName,
}

/// Whether somebody may be called so. A name is as people write it: 王丽, or an address.
pub fn check_name(name: &str) -> Result<(), AccountError> {
    let length = name.chars().count();
    let fits = (1..=NAME_CHARACTERS).contains(&length) && name.trim() == name && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(AccountError::Name) }
}

pub fn check_password(name: &str, password: &str) -> Result<(), AccountError> {
    if !PASSWORD_CHARACTERS.contains(&password.chars().count()) {
        return Err(AccountError::Length);
    }
    if password.eq_ignore_ascii_case(name) { Err(AccountError::IsName) } else { Ok(()) }
}

/// Failed attempts under one name, whether or not there is such an account: what is locked tells nothing of who exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    pub count: u32,
    /// When the last of them was.
    pub last: i64,
}

impl Failures {
    /// Whether no attempt is taken at this instant.
    pub fn lock(self, now: i64) -> bool {
        self.count >= FAILURES && self.is_fresh(now)
    }

    /// A clock that was set back leaves instants far ahead: they lock nothing.
    fn is_fresh(self, now: i64) -> bool {
        self.last.saturating_sub(now).saturating_abs() < LOCKED_MS
    }

    /// With one more. What is older than the lock lasts is forgotten.
    pub fn another(self, now: i64) -> Self {
        Self { count: if self.is_fresh(now) { self.count.saturating_add(1) } else { 1 }, last: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_people_write_them() {
        for name in ["王丽", "li@example.org", "Ms. Li", "a"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", " a", "a\n", "a\u{7}b", &"x".repeat(49)] {
            assert_eq!(check_name(name), Err(AccountError::Name), "{name:?}");
        }
    }

    #[test]
    fn passwords_are_long_and_not_the_name() {
        assert_eq!(check_password("a", "九个字的密码不够长"), Err(AccountError::Length));
        assert_eq!(check_password("a", "十个字的密码就够长了"), Ok(()));
        assert_eq!(check_password("Li@Example.org", "li@example.org"), Err(AccountError::IsName));
        assert_eq!(check_password("a", &"x".repeat(257)), Err(AccountError::Length));
    }

    #[test]
    fn five_failures_lock_for_a_quarter_of_an_hour() {
        let failed = |times: u32, at: i64| (0..times).fold(Failures::default(), |failures, _| failures.another(at));
        assert!(!failed(4, 1_000_000_000).lock(1_000_000_000));
        let locked = failed(5, 1_000_000_000);
        assert!(locked.lock(1_000_000_000 + LOCKED_MS - 1));
        assert!(!locked.lock(1_000_000_000 + LOCKED_MS));
        assert_eq!(locked.another(1_000_000_000 + LOCKED_MS).count, 1, "and then it begins anew");
        assert!(locked.lock(1_000_000_000 - 1) && !locked.lock(1_000_000_000 - LOCKED_MS), "a clock that was set back");
    }
}
