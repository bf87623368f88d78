namespace UPool.Testing;

/// <summary>The parts of SQL that differ between the server families, for the tested family.</summary>
public static class Sql
{
    /// <summary>
    /// Resets the server's counters; <c>Max_used_connections</c> becomes the number of sessions now. MariaDB 11.5 and
    /// later need an extra keyword, which other servers read as a comment.
    /// </summary>
    public const string FlushStatus = "FLUSH /*M!110500 GLOBAL */ STATUS";

    /// <inheritdoc cref="ServerFamily.ConnectionAdmin"/>
    public static string ConnectionAdmin => ServerFamily.Tested.ConnectionAdmin;

    /// <inheritdoc cref="ServerFamily.IsolationVariable"/>
    public static string IsolationVariable => ServerFamily.Tested.IsolationVariable;

    /// <inheritdoc cref="ServerFamily.SessionStatus"/>
    public static string SessionStatus => ServerFamily.Tested.SessionStatus;

    /// <inheritdoc cref="ServerFamily.GlobalStatus"/>
    public static string GlobalStatus => ServerFamily.Tested.GlobalStatus;

    /// <inheritdoc cref="ServerFamily.ProcessList"/>
    public static string ProcessList => ServerFamily.Tested.ProcessList;

    /// <inheritdoc cref="ServerFamily.InTransaction"/>
    public static string InTransaction => ServerFamily.Tested.InTransaction;

    /// <inheritdoc cref="ServerFamily.SetsOfReset"/>
    public static int SetsOfReset => ServerFamily.Tested.SetsOfReset;

    /// <inheritdoc cref="ServerFamily.SetDefaultRole"/>
    public static string SetDefaultRole(string role, string account) =>
        ServerFamily.Tested.SetDefaultRole(role, account);

    /// <inheritdoc cref="ServerFamily.Sequence"/>
    public static string Sequence(int count, string alias = "numbers") => ServerFamily.Tested.Sequence(count, alias);

    /// <summary>Privileges, with MariaDB's CONNECTION ADMIN replaced by the tested server's name for it.</summary>
    public static string Privileges(string privileges) =>
        privileges.Replace("CONNECTION ADMIN", ConnectionAdmin, StringComparison.Ordinal);
}
