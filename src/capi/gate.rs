pub(super) struct GateObject;
