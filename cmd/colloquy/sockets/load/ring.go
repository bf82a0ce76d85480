package load

// flight holds the times at which a socket's open questions were due, oldest
// first: answers come in the order of the questions.
type flight struct {
	due  []int64 // ring; nil until the first question
	head int
	n    int
}

// maxFlight is how many commands of a connection the gateway takes without an
// answer.
const maxFlight = 32

func (f *flight) full() bool { return f.n == maxFlight }

func (f *flight) push(at int64) {
	if f.due == nil {
		f.due = make([]int64, maxFlight)
	}
	f.due[(f.head+f.n)%maxFlight] = at
	f.n++
}

func (f *flight) pop() int64 {
	at := f.due[f.head]
	f.head = (f.head + 1) % maxFlight
	f.n--
	return at
}
