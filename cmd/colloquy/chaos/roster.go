package chaos

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// roster is where clients may connect.
type roster struct {
	mu struct {
		sync.Mutex
		addrs []string
	}
}

func (r *roster) add(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.mu.addrs, addr) {
		r.mu.addrs = append(r.mu.addrs, addr)
	}
}

func (r *roster) remove(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.addrs = slices.DeleteFunc(r.mu.addrs, func(a string) bool { return a == addr })
}

// pick gives an address, another one than avoid if there is one.
func (r *roster) pick(random *rand.Rand, avoid string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.mu.addrs)
	if n == 0 {
		return avoid
	}
	start := random.IntN(n)
	for i := range n {
		if a := r.mu.addrs[(start+i)%n]; a != avoid {
			return a
		}
	}
	return r.mu.addrs[0]
}
