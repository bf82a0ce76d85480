import type { Lang } from "../ui/lang.ts";

/** Order is one of the three orders the demo's look-ups know. */
export interface Order {
  number: string;
  item: string;
  image: string;
  date: string;
  price: string;
  state: string;
  tone: "wait" | "move" | "done";
  detail: string;
}

export interface Product {
  name: string;
  about: string;
  price: string;
  image: string;
}

export interface Words {
  title: string;
  brand: string;
  ribbon: string;
  nav: [string, string, string];
  heroTitle: string;
  heroText: string;
  heroButton: string;
  products: string;
  cart: string;
  inCart: string;
  orders: string;
  ordersText: string;
  order: string;
  ask: string;
  hintsTitle: string;
  hintsText: string;
  hints: string[];
  footer: string;
  console: string;
  other: string;
  list: Product[];
  mine: Order[];
}

const zh: Words = {
  title: "云雀小店 – 演示商店",
  brand: "云雀小店",
  ribbon: "全场满 99 元包邮 · 7 天无理由退换",
  nav: ["新品", "我的订单", "帮助"],
  heroTitle: "把日常过成喜欢的样子",
  heroText: "耐用、好看、价格实在的生活小物。下单后有任何问题，点右下角直接问。",
  heroButton: "咨询客服",
  products: "本周新品",
  cart: "加入购物车",
  inCart: "已加入",
  orders: "我的订单",
  ordersText: "这是演示数据：向客服报订单号，就能查到下面的状态。",
  order: "订单",
  ask: "询问此订单",
  hintsTitle: "可以这样问",
  hintsText: "点一下会把问题填进聊天框，由您来发送。",
  hints: ["订单2023什么时候发货？", "订单2024的快递到哪里了？", "我想退货，怎么操作？", "运费多少？满多少包邮？", "可以开发票吗？", "我要找人工客服"],
  footer: "演示商店：商品、订单与价格均为虚构。",
  console: "客服工作台",
  other: "English",
  list: [
    { name: "远行双肩包 22L", about: "防泼水面料，可放 15 寸电脑", price: "¥ 329", image: "/img/backpack.svg" },
    { name: "暖意马克杯", about: "高温白瓷，350 ml", price: "¥ 69", image: "/img/mug.svg" },
    { name: "晴空台灯", about: "三档色温，无频闪", price: "¥ 199", image: "/img/lamp.svg" },
    { name: "布面笔记本", about: "A5，100 g 不洇墨纸", price: "¥ 45", image: "/img/notebook.svg" },
    { name: "轻声头戴耳机", about: "主动降噪，40 小时续航", price: "¥ 599", image: "/img/headphones.svg" },
    { name: "小橄榄电水壶", about: "1.5 L，双层防烫", price: "¥ 159", image: "/img/kettle.svg" },
  ],
  mine: [
    { number: "2023", item: "远行双肩包 22L", image: "/img/backpack.svg", date: "昨天下单", price: "¥ 329", state: "待发货", tone: "wait", detail: "已付款，仓库备货中" },
    { number: "2024", item: "晴空台灯", image: "/img/lamp.svg", date: "3 天前下单", price: "¥ 199", state: "运输中", tone: "move", detail: "已发出，正在派往您的城市" },
    { number: "2025", item: "暖意马克杯 × 2", image: "/img/mug.svg", date: "上周下单", price: "¥ 138", state: "已签收", tone: "done", detail: "7 天内可无理由退换" },
  ],
};

const en: Words = {
  title: "Skylark Store – demo shop",
  brand: "Skylark Store",
  ribbon: "Free shipping over ¥99 · returns within 7 days",
  nav: ["New", "My orders", "Help"],
  heroTitle: "Everyday things worth liking",
  heroText: "Durable, good-looking and fairly priced. Any question about an order? Ask in the corner below.",
  heroButton: "Ask support",
  products: "New this week",
  cart: "Add to cart",
  inCart: "In your cart",
  orders: "My orders",
  ordersText: "Demo data: give support the order number and it finds the state shown here.",
  order: "Order",
  ask: "Ask about it",
  hintsTitle: "Things to ask",
  hintsText: "A click puts the question into the chat; you send it.",
  hints: ["When will order 2023 ship?", "Where is my parcel? Order 2024", "How do I return an item?", "How much is shipping?", "Can I get an invoice?", "I want to talk to a human"],
  footer: "Demo shop: goods, orders and prices are made up.",
  console: "Agent console",
  other: "中文",
  list: [
    { name: "Wander backpack 22L", about: "Water-repellent, fits a 15″ laptop", price: "¥ 329", image: "/img/backpack.svg" },
    { name: "Warmth mug", about: "White porcelain, 350 ml", price: "¥ 69", image: "/img/mug.svg" },
    { name: "Clear-sky desk lamp", about: "Three tones, no flicker", price: "¥ 199", image: "/img/lamp.svg" },
    { name: "Cloth notebook", about: "A5, 100 g ink-proof paper", price: "¥ 45", image: "/img/notebook.svg" },
    { name: "Hush headphones", about: "Noise cancelling, 40 hours", price: "¥ 599", image: "/img/headphones.svg" },
    { name: "Olive kettle", about: "1.5 L, cool to the touch", price: "¥ 159", image: "/img/kettle.svg" },
  ],
  mine: [
    { number: "2023", item: "Wander backpack 22L", image: "/img/backpack.svg", date: "Ordered yesterday", price: "¥ 329", state: "To be dispatched", tone: "wait", detail: "Paid, being packed" },
    { number: "2024", item: "Clear-sky desk lamp", image: "/img/lamp.svg", date: "Ordered 3 days ago", price: "¥ 199", state: "In transit", tone: "move", detail: "Dispatched, on its way to your city" },
    { number: "2025", item: "Warmth mug × 2", image: "/img/mug.svg", date: "Ordered last week", price: "¥ 138", state: "Delivered", tone: "done", detail: "Can be returned within 7 days" },
  ],
};

/** shopWords gives the texts of the shop in a language. */
export function shopWords(lang: Lang): Words {
  return lang === "zh" ? zh : en;
}
