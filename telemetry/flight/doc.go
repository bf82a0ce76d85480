// Package flight records what every turn of every conversation spends its time
// on, so that the few that turn out to be of interest can be looked at
// afterwards.
//
// A [Recorder] holds the newest spans of this node in a ring of fixed records.
// Recording one takes no lock that anybody waits for and allocates nothing;
// nothing is sampled, because at its beginning nobody knows which turn will be
// slow. When a turn ends, [Recorder.Judge] decides whether its trace is wanted:
// because it failed, was slower than its channel usually is, is watched, was
// sampled, or because whoever finds something strange says so. Only then somebody
// reads the ring: package traces, which gathers the spans from all nodes that the
// turn touched before newer ones take their places.
//
// Source: the idea of retroactive sampling is Hindsight's, NSDI '23,
// arXiv:2202.05769.
package flight
