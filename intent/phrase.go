package intent

// PhraseNames lists the fixed sentences that a pack may hold.
func PhraseNames() []string {
	return []string{
		"also", "apology", "ask_again", "bot_failed", "clarify", "denied", "fallback", "file_ask", "file_handover", "handover", "handover_offline", "none_of_these", "resume", "slot_help",
	}
}
