package intent

// PhraseNames lists the fixed sentences that a pack may hold.
func PhraseNames() []string {
	return []string{
		"apology", "ask_again", "bot_failed", "clarify", "fallback", "handover", "handover_offline", "none_of_these",
	}
}
