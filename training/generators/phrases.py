"""What the services of the synthetic shop say, in Chinese and English: flows, faults, and everyday noise.

Every text is a pair (zh, en) with the same placeholders, so that one incident can be told in either language.
"""

from __future__ import annotations

from dataclasses import dataclass

Text = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a flow: the service, what it logs when it starts, and when it is done."""

    service: str
    start: Text
    end: Text


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail: what the failing service logs first, and what its caller sees.

    Each may also happen to a healthy request, which then recovers: no line tells, the sequence does.
    """

    type: str
    category: str
    status: int
    causes: tuple[tuple[str, Text], ...]  # (level, text)
    seen_by_caller: Text


RECEIVE: Text = ("收到请求 POST {path} 来源IP={ip}", "Received POST {path} from ip={ip}")
RESPOND: Text = (
    "请求处理完成 path={path} status=200 耗时{ms}ms",
    "Request completed path={path} status=200 took {ms}ms",
)
REJECT: Text = (
    "请求处理失败 path={path} status={status} 耗时{ms}ms",
    "Request failed path={path} status={status} took {ms}ms",
)
RETRY: Text = ("第{n}次重试调用{service}", "Retrying call to {service}, attempt {n}")
RECOVERED: Text = ("重试成功 服务={service} 耗时{ms}ms", "Retry succeeded service={service} took {ms}ms")
ABORT: Text = (
    "{service}处理失败,事务已回滚 traceId={trace}",
    "{service} failed, transaction rolled back traceId={trace}",
)

AUTH = Step(
    "user-service",
    ("校验用户令牌 userId={user}", "Verifying token of userId={user}"),
    ("用户鉴权通过 userId={user} 耗时{ms}ms", "User authenticated userId={user} in {ms}ms"),
)
PRODUCT = Step(
    "product-service",
    ("查询商品信息 skuId={sku}", "Loading product skuId={sku}"),
    ("商品信息查询完成 skuId={sku} 命中缓存", "Product loaded skuId={sku} cache hit"),
)
STOCK = Step(
    "stock-service",
    ("锁定库存 skuId={sku} 数量={n}", "Reserving stock skuId={sku} quantity={n}"),
    ("库存锁定成功 剩余={count}", "Stock reserved remaining={count}"),
)
ORDER = Step(
    "order-service",
    ("开始创建订单 userId={user} 商品数={n}", "Creating order userId={user} items={n}"),
    ("订单创建成功 orderId={order} 金额={money}", "Order created orderId={order} amount={money}"),
)
PAY = Step(
    "payment-service",
    (
        "发起支付 orderId={order} 渠道=alipay 金额={money}",
        "Starting payment orderId={order} channel=alipay amount={money}",
    ),
    ("支付成功 orderId={order} 流水号={flow}", "Payment succeeded orderId={order} transaction={flow}"),
)
MESSAGE = Step(
    "message-service",
    ("发送通知消息 topic=order-events key={order}", "Publishing event topic=order-events key={order}"),
    ("消息投递成功 partition={n} offset={count}", "Event delivered partition={n} offset={count}"),
)
SHIP = Step(
    "logistics-service",
    ("创建物流单 orderId={order} 仓库=WH{n}", "Creating shipment orderId={order} warehouse=WH{n}"),
    ("物流单创建完成 运单号={flow}", "Shipment created waybill={flow}"),
)
REFUND = Step(
    "payment-service",
    ("发起退款 orderId={order} 金额={money}", "Starting refund orderId={order} amount={money}"),
    ("退款成功 orderId={order} 流水号={flow}", "Refund succeeded orderId={order} transaction={flow}"),
)
COUPON = Step(
    "coupon-service",
    ("核销优惠券 couponId={flow} userId={user}", "Redeeming coupon couponId={flow} userId={user}"),
    ("优惠券核销成功 优惠金额={money}", "Coupon redeemed discount={money}"),
)
SEARCH = Step(
    "search-service",
    ("执行商品检索 关键词数={n} 页码={n}", "Searching products terms={n} page={n}"),
    ("检索完成 命中{count}条 耗时{ms}ms", "Search finished hits={count} in {ms}ms"),
)
RISK = Step(
    "risk-service",
    ("风控评估开始 userId={user} 金额={money}", "Risk check started userId={user} amount={money}"),
    ("风控评估通过 得分={n}", "Risk check passed score={n}"),
)

FLOWS: dict[str, tuple[Step, ...]] = {
    "/api/order/create": (AUTH, STOCK, ORDER, MESSAGE),
    "/api/order/pay": (AUTH, RISK, PAY, MESSAGE),
    "/api/order/refund": (AUTH, ORDER, REFUND, MESSAGE),
    "/api/order/ship": (ORDER, STOCK, SHIP, MESSAGE),
    "/api/coupon/use": (AUTH, COUPON, ORDER),
    "/api/product/search": (SEARCH, PRODUCT),
    "/api/cart/checkout": (PRODUCT, COUPON, STOCK, ORDER),
}

FAULTS: tuple[Fault, ...] = (
    Fault(
        "超时异常",
        "网络",
        504,
        (
            (
                "ERROR",
                ("等待下游响应超时 timeout={slow}ms", "Timed out waiting for downstream response timeout={slow}ms"),
            ),
            (
                "ERROR",
                (
                    "java.net.SocketTimeoutException: Read timed out 已等待{slow}ms",
                    "java.net.SocketTimeoutException: Read timed out after {slow}ms",
                ),
            ),
            ("WARN", ("请求在队列中等待{slow}ms仍未被处理", "Request still queued after {slow}ms")),
        ),
        ("调用{service}超时 耗时{slow}ms", "Call to {service} timed out after {slow}ms"),
    ),
    Fault(
        "连接失败",
        "网络",
        502,
        (
            (
                "ERROR",
                ("连接被拒绝 {ip}:{port} Connection refused", "dial tcp {ip}:{port}: connect: connection refused"),
            ),
            ("ERROR", ("与{ip}:{port}的连接被重置", "Connection to {ip}:{port} reset by peer")),
            (
                "WARN",
                ("DNS解析失败 host={service}.svc.cluster.local", "DNS lookup failed host={service}.svc.cluster.local"),
            ),
        ),
        ("无法连接到{service} 目标={ip}:{port}", "Cannot reach {service} at {ip}:{port}"),
    ),
    Fault(
        "数据库错误",
        "数据库",
        500,
        (
            (
                "ERROR",
                (
                    "Deadlock found when trying to get lock; 事务被回滚 table=t_order",
                    "Deadlock found when trying to get lock; try restarting transaction table=t_order",
                ),
            ),
            (
                "ERROR",
                (
                    "SQL执行失败 错误码={code} Lock wait timeout exceeded",
                    "SQL failed code={code} Lock wait timeout exceeded",
                ),
            ),
            ("WARN", ("慢查询 耗时{slow}ms 扫描行数={count}", "Slow query took {slow}ms rows examined={count}")),
        ),
        ("{service}数据库操作失败 错误码={code}", "{service} database operation failed code={code}"),
    ),
    Fault(
        "服务调用失败",
        "应用",
        500,
        (
            (
                "ERROR",
                (
                    "NullPointerException: 处理请求时发生空指针 traceId={trace}",
                    "NullPointerException while handling request traceId={trace}",
                ),
            ),
            ("ERROR", ("业务处理异常 code={code} 参数校验未通过", "Business error code={code} invalid argument")),
            ("WARN", ("熔断器已打开 失败率={n}0%", "Circuit breaker opened failure rate={n}0%")),
        ),
        ("调用{service}返回500 code={code}", "Call to {service} returned 500 code={code}"),
    ),
    Fault(
        "资源耗尽",
        "系统",
        503,
        (
            (
                "ERROR",
                (
                    "java.lang.OutOfMemoryError: Java heap space 已用{count}MB",
                    "java.lang.OutOfMemoryError: Java heap space used {count}MB",
                ),
            ),
            (
                "ERROR",
                (
                    "线程池已满 active={count} queue={count} 任务被拒绝",
                    "Thread pool exhausted active={count} queue={count} task rejected",
                ),
            ),
            ("WARN", ("连接池耗尽 等待线程数={n} 等待{slow}ms", "Connection pool exhausted waiting={n} for {slow}ms")),
        ),
        ("{service}资源不足,请求被拒绝", "{service} out of resources, request rejected"),
    ),
    Fault(
        "权限错误",
        "安全",
        403,
        (
            (
                "ERROR",
                ("权限校验失败 userId={user} 缺少角色ROLE_ADMIN", "Access denied userId={user} missing ROLE_ADMIN"),
            ),
            ("WARN", ("令牌已过期 userId={user}", "Token expired userId={user}")),
            ("WARN", ("签名校验不通过 来源IP={ip}", "Signature mismatch from ip={ip}")),
        ),
        ("{service}拒绝访问 code={code}", "{service} denied access code={code}"),
    ),
)

NOISE: tuple[tuple[str, Text], ...] = (
    ("INFO", ("健康检查通过 耗时{ms}ms", "Health check ok in {ms}ms")),
    ("INFO", ("从缓存读取配置 version={n}", "Configuration read from cache version={n}")),
    (
        "DEBUG",
        (
            "执行SQL SELECT * FROM t_order WHERE id={order} 耗时{ms}ms",
            "SQL SELECT * FROM t_order WHERE id={order} took {ms}ms",
        ),
    ),
    ("WARN", ("GC暂停{ms}ms 堆使用率={n}0%", "GC pause {ms}ms heap usage={n}0%")),
    ("WARN", ("连接池使用率偏高 active={n} idle={n}", "Connection pool usage high active={n} idle={n}")),
    ("WARN", ("缓存未命中 key=sku:{sku} 回源数据库", "Cache miss key=sku:{sku} falling back to database")),
    ("ERROR", ("上报监控指标失败,已忽略 code={code}", "Failed to push metrics, ignored code={code}")),
)
