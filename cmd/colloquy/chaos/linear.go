package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/colloquyhq/colloquy/conversation"
)

// checkTime bounds the check of one conversation.
const checkTime = time.Minute

// appendModel is a conversation as its clients see it: each append gets a seq
// above all that were given before. A seq is the whole output; a client that
// was told a lower one later than a higher one has seen time run backwards.
func appendModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return conversation.Seq(0) },
		Step: func(state, _, output any) (bool, any) {
			newest, ok1 := state.(conversation.Seq)
			got, ok2 := output.(conversation.Seq)
			return ok1 && ok2 && got > newest, output
		},
	}
}

// linearizable checks that the acknowledgements of each conversation could have
// been given by one log, in an order that agrees with real time. It gives a
// sentence about the first conversation where they could not, or "".
//
// What was never acknowledged is left out: it may have happened at any time or
// not at all, and no seq was promised for it.
func linearizable(operations []*operation) string {
	histories := map[conversation.ConversationID][]porcupine.Operation{}
	for _, o := range operations {
		if o.acked == 0 {
			continue
		}
		histories[o.place.id] = append(histories[o.place.id], porcupine.Operation{
			ClientId: o.author.number, Call: int64(o.due), Output: o.place.seq, Return: int64(o.acked),
		})
	}
	ids := make([]conversation.ConversationID, 0, len(histories))
	for id := range histories {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b conversation.ConversationID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range ids {
		history := histories[id]
		slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		switch porcupine.CheckOperationsTimeout(appendModel(), history, checkTime) {
		case porcupine.Ok:
		case porcupine.Illegal:
			return fmt.Sprintf("%s: the acknowledgements of its %d messages are not linearizable", id, len(history))
		case porcupine.Unknown:
			return fmt.Sprintf("%s: whether its %d messages are linearizable was not found out within %v", id, len(history), checkTime)
		}
	}
	return ""
}
