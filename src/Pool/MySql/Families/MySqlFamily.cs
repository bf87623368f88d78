namespace UPool.MySql;

/// <summary>
/// MySQL, and servers that speak its protocol. A KILL no longer finds a session once the session begins to end: with
/// 262,144 rows to roll back, 9.7 answered 1094 after 19 ms and counted the session for 7 s. The process list in
/// performance_schema shows a session until it is no longer counted. The one in information_schema does not, and each
/// read of it raises warning 1287.
/// </summary>
internal sealed class MySqlFamily : DatabaseFamily
{
    // The first version with performance_schema.processlist.
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

    // A session that was not listed before the KILL, and that the KILL did not find, has been dropped. A session that
    // was listed is checked again at the next look.
    public override bool IsGone(bool wasListed) => !_hasProcessList || !wasListed;

    // CURRENT_ROLE() returns a list that is already quoted, or NONE.
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
