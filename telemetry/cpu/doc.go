// Package cpu measures what each conversation costs in processor time.
//
// Go does not say which goroutine used the processor, so the work for a
// conversation is cut into segments: a run of its mailbox, the scoring of one of
// its messages, the handling of what its socket received. While a segment is
// open its goroutine is locked to a thread, and the thread's own processor clock
// is read at both ends. Wall time would be wrong by a factor of two to seventy as
// soon as a handler waits or the machine is shared.
//
// A goroutine that waits while it is locked costs a thread and, when it wakes, a
// hand-over between threads. So whoever knows that it is going to wait pauses the
// segment first: see [Segment.Pause], and [SegmentOf] for code that is handed a
// context. If too many segments are open at once all the same, further ones are
// measured in wall time and counted as approximate.
//
// An event loop handles what many sockets received in one go, and must not be
// locked; what its turns cost is measured as a [Batch] and shared out.
//
// On systems without a clock of the thread, everything is wall time, and
// [Method] says so.
package cpu
