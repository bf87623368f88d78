using System.Net.Security;

using MySqlConnector;

namespace UPool.MySql;

/// <summary>The reason why a connection string cannot be used, option by option; null if it can.</summary>
internal static class ConnectionStringRefusals
{
    // Linux's limit: beyond it, setting the option on the socket fails, and every open with it.
    private const uint MaxKeepalive = 32_767;

    private const string SeveralServers =
        "spreads over several servers, and the pool has to ask one and the same server whether its sessions are gone. "
        + "Name one Server, and no Load Balance.";

    public static string? OfServer(MySqlConnectionStringBuilder builder) =>
        string.IsNullOrWhiteSpace(builder.Server) ? "names no Server."
        : builder.Server.Contains(',', StringComparison.Ordinal) ? SeveralServers
        : null;

    public static string? OfPort(MySqlConnectionStringBuilder builder) =>
        builder.Port is > 0 and < 65_536 ? null : "has no Port of 1 to 65535.";

    public static string? OfDatabase(MySqlConnectionStringBuilder builder) =>
        string.IsNullOrWhiteSpace(builder.Database) ? "names no Database." : null;

    public static string? OfLoadBalance(MySqlConnectionStringBuilder builder) =>
        builder.LoadBalance == MySqlLoadBalance.RoundRobin ? null : SeveralServers;

    public static string? OfProtocol(MySqlConnectionStringBuilder builder) => builder.ConnectionProtocol switch
    {
        MySqlConnectionProtocol.Socket => null,
        MySqlConnectionProtocol.UnixSocket => IsPath(builder.Server)
            ? null
            : "asks for a Unix socket, and its Server is no path.",
        _ => "asks for a named pipe or shared memory. Use TCP or a Unix socket.",
    };

    public static string? OfCipherSuites(MySqlConnectionStringBuilder builder)
    {
        string[] names = builder.TlsCipherSuites.TrimStart('[', '(').TrimEnd(']', ')')
            .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return names.All(static name => Enum.TryParse<TlsCipherSuite>(name, ignoreCase: true, out _))
            ? null
            : "names an unknown cipher suite in TLS Cipher Suites.";
    }

    public static string? OfKeepalive(MySqlConnectionStringBuilder builder) =>
        builder.Keepalive <= MaxKeepalive ? null : "has a Keep Alive above 32767 seconds, which no socket takes.";

    public static string? OfGuids(MySqlConnectionStringBuilder builder) =>
        builder.OldGuids && builder.GuidFormat != MySqlGuidFormat.Default
            ? "has both Old Guids and a GUID Format. Name one of them."
            : null;

    public static string? OfRedirection(MySqlConnectionStringBuilder builder) =>
        builder.ServerRedirectionMode == MySqlServerRedirectionMode.Disabled
            ? null
            : "lets the server send sessions elsewhere, where the pool could neither end nor ask about them. Leave "
                + "Server Redirection Mode out.";

    public static bool IsPath(string server) =>
        server.StartsWith('/') || server.StartsWith("./", StringComparison.Ordinal);
}
