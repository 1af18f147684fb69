//! Trying again and forgetting what failed.

use nsgate::Status;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::driver::Driver;
use super::reference::Stage;

impl Driver<'_> {
    pub(super) fn retry(&mut self, index: usize) -> Result<(), TestCaseError> {
        let Some(ticket) = self.jobs[index].ticket else {
            return Ok(());
        };
        self.wait(index)?;
        let stage = self.jobs[index].reference.stage;
        let (least, most) = self.places();
        let heard = self.heard();
        match self.gate.releases().retry(ticket) {
            Ok(again) => {
                prop_assert_eq!(stage, Stage::Failed);
                prop_assert!(least < self.setting.capacity as usize);
                prop_assert_ne!(again, ticket);
                let subject = &mut self.jobs[index];
                subject.ticket = Some(again);
                subject.retried = true;
                subject.reference.stage = Stage::Pending;
                self.submits += 1;
            }
            Err(error) if error.status() == Status::Full => {
                prop_assert_eq!(stage, Stage::Failed);
                prop_assert!(self.may_be_full(most, heard));
            }
            Err(error) => {
                prop_assert_eq!(error.status(), Status::NotFound);
                prop_assert_ne!(stage, Stage::Failed);
            }
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, index: usize) -> Result<(), TestCaseError> {
        let Some(ticket) = self.jobs[index].ticket else {
            return Ok(());
        };
        self.wait(index)?;
        let subject = &mut self.jobs[index];
        match self.gate.releases().forget(ticket) {
            Ok(()) => {
                prop_assert_eq!(subject.reference.stage, Stage::Failed);
                subject.reference.stage = Stage::Gone;
            }
            Err(error) => {
                prop_assert_eq!(error.status(), Status::NotFound);
                prop_assert_ne!(subject.reference.stage, Stage::Failed);
            }
        }
        Ok(())
    }
}
