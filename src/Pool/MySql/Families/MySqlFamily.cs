namespace UPool.MySql;

/// <summary>
/// MySQL, and what speaks as it. A session cannot be killed any more as soon as it begins to end: with 262,144 rows to
/// roll back, 9.7 answered 1094 after 19 ms and counted the session for 7 s. Its process list in performance_schema
/// shows a session until it is counted no more. The one in information_schema does not, and warns at each look (1287).
/// </summary>
internal sealed class MySqlFamily : DatabaseFamily
{
    // The version that brought performance_schema.processlist.
    private static readonly Version Since = new(8, 0, 22);

    private readonly bool _hasProcessList;

    public MySqlFamily(string version)
        : this(version, NumberOf(version) >= Since)
    {
    }

    private MySqlFamily(string version, bool hasProcessList)
        : base(version) => _hasProcessList = hasProcessList;

    public override string Name => $"MySQL {Version}";

    public override bool WasTested => Starts(Version, "9.7.");

    public override string ProcessList =>
        _hasProcessList ? "performance_schema.processlist" : "information_schema.PROCESSLIST";

    public override string Identity => "@@server_uuid";

    public override bool HasRoles => NumberOf(Version).Major >= 8;

    public override string EndingRight => "CONNECTION_ADMIN";

    public override string? Blindness => _hasProcessList
        ? null
        : $"{Name} does not list its sessions in performance_schema.processlist, which alone says when a session is "
            + "gone. Start the server with performance_schema=ON.";

    // Not listed before the KILL and not known to it: what was never listed or listed no more has been dropped. One
    // that was listed is looked for again at the next look.
    public override bool IsGone(bool wasListed) => !_hasProcessList || !wasListed;

    // CURRENT_ROLE() answers with a list that is quoted already, or with NONE.
    public override string? RestoreRole(string? role) => HasRoles ? $"SET ROLE {role ?? "NONE"}" : null;

    public override DatabaseFamily WithoutProcessList() =>
        _hasProcessList ? new MySqlFamily(Version, hasProcessList: false) : this;

    private static Version NumberOf(string version)
    {
        int end = 0;
        while (end < version.Length && (char.IsAsciiDigit(version[end]) || version[end] == '.')) end++;
        return System.Version.TryParse(version.AsSpan(0, end), out Version? number) ? number : new Version(0, 0);
    }
}
