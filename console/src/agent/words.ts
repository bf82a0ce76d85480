import type { Lang } from "../ui/lang.ts";

const zh = {
  product: "客服工作台", knowledge: "知识库",
  login: "登录", loginTitle: "登录客服工作台", email: "邮箱", password: "密码", loginBusy: "正在登录…",
  loginBad: "邮箱或密码不正确。", loginMany: "尝试次数过多，请稍后再试。", loginDown: "服务器暂时不可用，请稍后再试。",
  firstRun: "首次使用？用安装令牌创建管理员",
  setupTitle: "创建管理员", setupText: "安装令牌由 colloquy init 打印到终端，24 小时内有效，只能使用一次。", setupToken: "安装令牌", name: "姓名", setupDo: "创建并登录",
  setupBad: "令牌无效或已被使用。", passwordHint: "至少 10 个字符", backToLogin: "返回登录",
  logout: "退出登录", presence: "接待状态", online: "在线", away: "离开", offline: "离线",
  theme: "切换深浅色", language: "Switch to English", help: "键盘快捷键", close: "关闭", cancel: "取消", save: "保存",
  waiting: "待接待", mine: "我的", all: "进行中", resolved: "已解决", inbox: "收件箱", allInboxes: "全部收件箱",
  search: "搜索内容、标签、编号", filters: "会话筛选", list: "会话列表", more: "加载更多", earlier: "更早的消息",
  emptyWaiting: "没有等待中的会话", emptyWaitingMore: "新的转人工会出现在这里。", emptyMine: "您手上没有会话", emptyMineMore: "从“待接待”里接手一个吧。",
  emptyAll: "没有进行中的会话", emptyResolved: "还没有已解决的会话", emptySearch: "没有匹配的会话",
  choose: "选择一个会话", chooseMore: "从左侧列表中选择，或按 J / K 切换。", loading: "正在加载…", loadFailed: "加载失败", retry: "重试",
  waited: "已等 {t}", ago: "{t}前", you: "我", youLabel: "我：", agentLabel: "客服：", botLabel: "机器人：",
  visitor: "访客", bot: "机器人", agent: "客服", note: "内部备注", noteOnly: "仅客服可见",
  reply: "回复", replyPlaceholder: "回复访客…", keyHint: "Enter 发送 · Shift+Enter 换行", notePlaceholder: "写一条内部备注，访客不会看到…", send: "发送",
  claim: "接手", assignMe: "转给我", release: "放回队列", resolve: "标记为已解决", reopen: "重新打开", snooze: "稍后处理", wake: "立即唤醒", toBot: "交还机器人", moreActions: "更多操作",
  snoozeFor: "推迟到", in20m: "20 分钟后", in1h: "1 小时后", in4h: "4 小时后", tomorrow: "明天上午 9 点", nextWeek: "下周一上午 9 点",
  assign: "分配给…", details: "会话详情", back: "返回列表",
  hintBot: "机器人正在接待。回复后会话将由您接管。", hintQueued: "等待接待。回复即表示接手。", hintOther: "{name} 正在处理此会话。", hintResolved: "会话已解决；回复会将其重新打开。", hintClosed: "会话已归档，不能再回复。", hintSnoozed: "已推迟到 {t}。",
  taken: "{name} 已先一步接手了这个会话。", conflict: "操作未成功：会话状态已改变。", refusedTitle: "操作未成功", notSent: "未能发送：{why}", tooLong: "内容过长", refusedBy: "会话由 {name} 负责",
  resolvedToast: "已标记为解决", releasedToast: "已放回队列", snoozedToast: "已推迟", botToast: "已交还机器人", assignedToast: "已分配给 {name}",
  reconnecting: "连接已断开，正在重新连接…", offlineBar: "网络已断开；写下的内容会在恢复后发送。", stopped: "连接被服务器结束。", sessionOver: "登录已失效，请重新登录。",
  status: "状态", assignee: "负责人", nobody: "无人", priority: "优先级", tags: "标签", addTag: "添加标签", removeTag: "移除标签 {tag}", channel: "渠道", contact: "访客", peer: "渠道账号", created: "创建于", handover: "转人工", reason: "原因", intent: "意图", confidence: "置信度", summary: "摘要", model: "模型", behavior: "处理方式", why: "为什么这样回答", understood: "识别为", notUnderstood: "未能识别", slots: "信息", waitingSince: "等待自", id: "编号",
  pending: "机器人接待", open: "人工", snoozed: "已推迟", closed: "已归档", queued: "排队中",
  pNone: "无", pLow: "低", pMedium: "中", pHigh: "高", pUrgent: "紧急",
  rAsked: "访客要求人工", rAbstained: "机器人多次未能理解", rPolicy: "此类问题由人工处理", rFailed: "机器人出错或超时", rNoBot: "未启用机器人", rLookup: "查询失败", rSlot: "访客未能提供所需信息", rAgent: "客服接管", rReopened: "会话重新打开", rBehavior: "自定义流程",
  mStarted: "会话开始", mHandover: "转人工：{why}", mAssigned: "{name} 接手了会话", mAssignedBy: "{by} 将会话分配给 {name}", mAssignedQueue: "系统将会话分配给 {name}", mUnassigned: "{name} 放回了队列", mResolved: "会话已解决", mResolvedBy: "{by} 标记为已解决", mReopened: "会话重新打开", mSnoozed: "推迟到 {t}", mWoke: "恢复处理", mToBot: "交还机器人", mClosed: "会话已归档", mTagAdd: "添加标签 {tags}", mTagRemove: "移除标签 {tags}", mPriority: "优先级改为 {p}",
  typing: "{name} 正在输入", sending: "发送中", stored: "已发送", delivered: "已送达", readBy: "已读", failed: "发送失败", uncertain: "结果未知", pendingDelivery: "等待渠道确认", discard: "删除", messages: "消息记录", newMessages: "有新消息",
  keys: "键盘快捷键", kNext: "下一个 / 上一个会话", kReply: "回复", kNote: "写备注", kClaim: "接手", kResolve: "标记为已解决", kReopen: "重新打开", kSnooze: "稍后处理", kSearch: "搜索", kFilter: "切换筛选", kHelp: "显示此帮助", kLeave: "离开输入框 / 关闭",
};

export type Words = typeof zh;

const en: Words = {
  product: "Agent console", knowledge: "Knowledge",
  login: "Sign in", loginTitle: "Sign in to the console", email: "E-mail", password: "Password", loginBusy: "Signing in…",
  loginBad: "The e-mail address or the password is wrong.", loginMany: "Too many attempts. Please wait a little.", loginDown: "The server cannot be reached. Please try again.",
  firstRun: "First run? Create the admin with the setup token",
  setupTitle: "Create the admin", setupText: "“colloquy init” prints the setup token to its terminal. It is good for 24 hours and works once.", setupToken: "Setup token", name: "Name", setupDo: "Create and sign in",
  setupBad: "The token is wrong or has been used.", passwordHint: "10 characters at least", backToLogin: "Back to sign-in",
  logout: "Sign out", presence: "Presence", online: "Online", away: "Away", offline: "Offline",
  theme: "Light or dark", language: "切换到中文", help: "Keyboard shortcuts", close: "Close", cancel: "Cancel", save: "Save",
  waiting: "Waiting", mine: "Mine", all: "Open", resolved: "Resolved", inbox: "Inbox", allInboxes: "All inboxes",
  search: "Search text, tags, ids", filters: "Filters", list: "Conversations", more: "Load more", earlier: "Earlier messages",
  emptyWaiting: "Nobody is waiting", emptyWaitingMore: "Handovers show up here.", emptyMine: "You have no conversations", emptyMineMore: "Claim one from Waiting.",
  emptyAll: "No open conversations", emptyResolved: "Nothing resolved yet", emptySearch: "Nothing matches",
  choose: "Choose a conversation", chooseMore: "Pick one from the list, or press J / K.", loading: "Loading…", loadFailed: "Could not be loaded", retry: "Try again",
  waited: "waiting {t}", ago: "{t} ago", you: "Me", youLabel: "Me: ", agentLabel: "Agent: ", botLabel: "Bot: ",
  visitor: "Visitor", bot: "Bot", agent: "Agent", note: "Internal note", noteOnly: "agents only",
  reply: "Reply", replyPlaceholder: "Reply to the visitor…", keyHint: "Enter sends · Shift+Enter breaks the line", notePlaceholder: "Write an internal note; the visitor never sees it…", send: "Send",
  claim: "Claim", assignMe: "Assign to me", release: "Back to queue", resolve: "Resolve", reopen: "Reopen", snooze: "Snooze", wake: "Wake now", toBot: "Return to bot", moreActions: "More actions",
  snoozeFor: "Snooze until", in20m: "In 20 minutes", in1h: "In 1 hour", in4h: "In 4 hours", tomorrow: "Tomorrow, 9 am", nextWeek: "Monday, 9 am",
  assign: "Assign to…", details: "Details", back: "Back to the list",
  hintBot: "The bot has this conversation. Your reply takes it over.", hintQueued: "Waiting for an agent. Your reply claims it.", hintOther: "{name} is handling this conversation.", hintResolved: "Resolved; a reply reopens it.", hintClosed: "Archived; no more replies.", hintSnoozed: "Snoozed until {t}.",
  taken: "{name} claimed this conversation first.", conflict: "Not done: the conversation has changed.", refusedTitle: "Not done", notSent: "Not sent: {why}", tooLong: "the text is too long", refusedBy: "{name} has this conversation",
  resolvedToast: "Resolved", releasedToast: "Back in the queue", snoozedToast: "Snoozed", botToast: "The bot has it again", assignedToast: "Assigned to {name}",
  reconnecting: "Connection lost. Reconnecting…", offlineBar: "You are offline; what you write is sent when the network is back.", stopped: "The server ended the connection.", sessionOver: "Your session has ended. Please sign in again.",
  status: "Status", assignee: "Assignee", nobody: "Nobody", priority: "Priority", tags: "Tags", addTag: "Add a tag", removeTag: "Remove tag {tag}", channel: "Channel", contact: "Visitor", peer: "Account", created: "Created", handover: "Handover", reason: "Reason", intent: "Intent", confidence: "Confidence", summary: "Summary", model: "Model", behavior: "Behavior", why: "Why this answer", understood: "Taken for", notUnderstood: "Not understood", slots: "Values", waitingSince: "Waiting since", id: "Id",
  pending: "With the bot", open: "With agents", snoozed: "Snoozed", closed: "Archived", queued: "Queued",
  pNone: "None", pLow: "Low", pMedium: "Medium", pHigh: "High", pUrgent: "Urgent",
  rAsked: "the visitor asked for a human", rAbstained: "the bot did not understand, repeatedly", rPolicy: "humans answer this kind of question", rFailed: "the bot failed or was late", rNoBot: "no bot in this inbox", rLookup: "a look-up failed", rSlot: "the visitor could not give what was needed", rAgent: "an agent took over", rReopened: "reopened", rBehavior: "a custom behavior",
  mStarted: "Conversation started", mHandover: "Handover: {why}", mAssigned: "{name} claimed the conversation", mAssignedBy: "{by} assigned it to {name}", mAssignedQueue: "Assigned to {name} by the queue", mUnassigned: "{name} put it back into the queue", mResolved: "Resolved", mResolvedBy: "Resolved by {by}", mReopened: "Reopened", mSnoozed: "Snoozed until {t}", mWoke: "Taken up again", mToBot: "Returned to the bot", mClosed: "Archived", mTagAdd: "Tagged {tags}", mTagRemove: "Removed tag {tags}", mPriority: "Priority set to {p}",
  typing: "{name} is typing", sending: "Sending", stored: "Sent", delivered: "Delivered", readBy: "Read", failed: "Delivery failed", uncertain: "Delivery uncertain", pendingDelivery: "Waiting for the channel", discard: "Delete", messages: "Messages", newMessages: "New messages",
  keys: "Keyboard shortcuts", kNext: "Next / previous conversation", kReply: "Reply", kNote: "Write a note", kClaim: "Claim", kResolve: "Resolve", kReopen: "Reopen", kSnooze: "Snooze", kSearch: "Search", kFilter: "Change the filter", kHelp: "Show this help", kLeave: "Leave the box / close",
};

/** consoleWords gives the texts of the console in a language. */
export function consoleWords(lang: Lang): Words {
  return lang === "zh" ? zh : en;
}
