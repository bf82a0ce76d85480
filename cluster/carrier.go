package cluster

import "net"

// Carrier brings batches of messages to the gates of other nodes. It may lose
// them, but does not keep the caller waiting.
//
// [NodeOptions.Carrier] takes another than protoactor's remote, such as one for
// tests without a network.
type Carrier interface {
	// Start listens and gives the address under which peers reach this node.
	Start() (address string, err error)
	// Send brings a batch to the gate at an address. The carrier keeps frame.
	Send(address string, frame []byte)
	// Forget ends the connection to an address whose node is no member any more.
	Forget(address string)
	// Stop ends everything.
	Stop()
}

// CarrierOptions are what a [Carrier] is made with.
type CarrierOptions struct {
	Listen    string                      // host:port
	Advertise func(bound net.Addr) string // the address that peers are told
	Receive   func(frame []byte)          // takes what has come; does not keep frame, and does not block
	Broken    func(address string)        // hears of a connection that has ended
}
