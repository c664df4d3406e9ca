//! The bridge between client and dext: carries calls, mappings and completions across and asks the
//! boundary at each step.
