//! Real editing histories end in the text they are known to end in.
