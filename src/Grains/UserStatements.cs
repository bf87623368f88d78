using System.Globalization;
using System.Text;
using Dapper;

namespace UPool.Grains;

/// <summary>The statements of <c>tb1</c>, one set for each dialect. Values are always parameters.</summary>
internal sealed class UserStatements
{
    // A server without strict mode silently alters a name that the column cannot hold. The mode is set in the same
    // round trip as the statement, and the reset after the rent restores the server's own mode for the pool's other
    // users. The rest of the mode stays: the driver quotes for it.
    private const string Strictly = "SET sql_mode = CONCAT_WS(',', NULLIF(@@sql_mode, ''), 'STRICT_ALL_TABLES'); ";

    private static readonly UserStatements MySql = new()
    {
        // The stored name, because a trigger may have changed it; the given name if the row is already deleted.
        Create = Strictly + "INSERT INTO `tb1` (`name`) VALUES (@name); SELECT CAST(LAST_INSERT_ID() AS SIGNED), "
            + "IFNULL((SELECT CAST(`name` AS CHAR) FROM `tb1` WHERE `id` = LAST_INSERT_ID()), @name)",
        // The ids of one INSERT of known size follow each other by the server's step, in every autoinc_lock_mode. The
        // names are the stored ones.
        LastCreated = ConvertedColumns + "FROM `tb1` WHERE `id` >= LAST_INSERT_ID() "
            + "AND `id` <= LAST_INSERT_ID() + (@count - 1) * @@auto_increment_increment "
            + "AND (`id` - LAST_INSERT_ID()) % @@auto_increment_increment = 0 ORDER BY `id`",
        Rename = Strictly + "UPDATE `tb1` SET `name` = @name WHERE `id` = @id; " + GetOne,
        BeforeCreateAll = Strictly,
        GetToDelete = GetOne + " FOR UPDATE",
    };

    private static readonly UserStatements Sqlite = new()
    {
        Create = "INSERT INTO `tb1` (`name`) VALUES (@name) RETURNING `id`, `name`",
        // SQLite reports the last id and numbers a statement's rows consecutively.
        LastCreated = Columns + "FROM `tb1` WHERE `id` > last_insert_rowid() - @count "
            + "AND `id` <= last_insert_rowid() ORDER BY `id`",
        Rename = "UPDATE `tb1` SET `name` = @name WHERE `id` = @id RETURNING `id`, `name`",
        // No FOR UPDATE: a SQLite transaction has the whole database to itself.
        GetToDelete = Columns + "FROM `tb1` WHERE `id` = @id",
    };

    public const string Delete = "DELETE FROM `tb1` WHERE `id` = @id";

    private const string Columns = "SELECT `id`, `name` ";
    private const string ConvertedColumns = "SELECT `id` + 0, CAST(`name` AS CHAR) ";
    private const string GetOne = ConvertedColumns + "FROM `tb1` WHERE `id` = @id";

    // The most frequent reads, this one and Get, are fixed, so that their connections need no reset. The upper bound
    // excludes values of a BIGINT UNSIGNED that a user's id cannot have.
    public static readonly FixedSelect List = new(
        Columns + "FROM `tb1` WHERE `id` > @after AND `id` <= 9223372036854775807 ORDER BY `id` LIMIT @count");

    private UserStatements()
    {
    }

    /// <summary>Inserts a name and returns the row.</summary>
    public required string Create { get; init; }

    /// <summary>Renames a user and returns the row, if it exists.</summary>
    public required string Rename { get; init; }

    /// <summary>The prefix of an INSERT for several names.</summary>
    private string BeforeCreateAll { get; init; } = "";

    /// <summary>Selects the rows of the last INSERT for several names, in their order.</summary>
    public required string LastCreated { get; init; }

    /// <summary>Selects a user and locks it for the rest of the transaction.</summary>
    public required string GetToDelete { get; init; }

    /// <summary>Selects users by their ids.</summary>
    public static FixedSelect Get(int ids) => new(
        Columns + "FROM `tb1` WHERE `id` IN (" + string.Join(", ", Enumerable.Range(0, ids).Select(IdParameter)) + ")");

    /// <summary>
    /// The same read, with the server converting the columns to a whole number and a text. For columns that the driver
    /// returns as another type: CHAR(36) as Guid, TINYINT(1) as Boolean, VARBINARY as bytes. No fixed SELECT: its
    /// connection is reset afterwards.
    /// </summary>
    public static string Converted(FixedSelect select) => string.Concat(
        ConvertedColumns, select.Text.AsSpan(Columns.Length));

    /// <summary>The name of a parameter of <see cref="Get"/>.</summary>
    public static string IdParameter(int index) => string.Create(CultureInfo.InvariantCulture, $"@id{index}");

    public static UserStatements For(SqlDialect dialect) => dialect switch
    {
        SqlDialect.MySql => MySql,
        SqlDialect.Sqlite => Sqlite,
        _ => throw new InvalidOperationException($"bug: no statements for the dialect {dialect}."),
    };

    /// <summary>One INSERT for several names.</summary>
    public (string Text, DynamicParameters Parameters) CreateAll(ReadOnlySpan<string> names)
    {
        var text = new StringBuilder(BeforeCreateAll).Append("INSERT INTO `tb1` (`name`) VALUES ");
        var parameters = new DynamicParameters();
        for (int index = 0; index < names.Length; index++)
        {
            string parameter = string.Create(CultureInfo.InvariantCulture, $"n{index}");
            text.Append(index == 0 ? "(@" : ", (@").Append(parameter).Append(')');
            parameters.Add(parameter, names[index]);
        }

        return (text.ToString(), parameters);
    }
}
