//! Entities of the type that does nothing: who learns or tests management has something to make,
//! change and remove. Nothing in the router looks at them.

use router_core::control::ControlPlane;

use crate::schema::{DUMMY, Entity};
use crate::status::{Failure, Status};
use crate::store::entities::Store;
use crate::store::rules::next_name;

impl Store {
    /// Makes one. It is called by its identity if it has no name, as everything else is.
    pub(super) fn create_dummy(
        &mut self,
        mut dummy: Entity,
        control: &ControlPlane,
    ) -> Result<String, Failure> {
        let (mut made, has_name) = (self.dummies_made, dummy.name().is_some());
        // Only who is called so, too, must not have met the name before.
        let is_taken = |identity: &str| {
            let mut rows = self.rows(control);
            !has_name && rows.any(|row| row.is_called(Some(identity), None))
        };
        let identity = next_name(DUMMY.short, &mut made, is_taken);
        dummy.identify(identity.clone());
        self.refuse_duplicate(&dummy, control)?;
        self.dummies_made = made;
        self.dummies.push(dummy);
        Ok(identity)
    }

    /// Gives attributes of one new values.
    pub(crate) fn update_dummy(
        &mut self,
        identity: &str,
        attributes: &[(String, amqp_codec::Value)],
    ) -> Result<(), Failure> {
        let mut dummies = self.dummies.iter_mut();
        let dummy = dummies.find(|dummy| dummy.identity() == identity);
        let dummy = dummy.ok_or(Status::NotFound)?;
        let updated = dummy.update(attributes);
        updated.map_err(|error| Failure::bad_request(error.text))?;
        self.requests += 1;
        Ok(())
    }
}
