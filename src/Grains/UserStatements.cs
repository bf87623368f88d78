using System.Globalization;
using System.Text;
using Dapper;

namespace UPool.Grains;

/// <summary>The statements of <c>tb1</c>, one set for each dialect. Values are always parameters.</summary>
internal sealed class UserStatements
{
    // A server that is not strict stores a name that the column cannot hold as another one, and says so to nobody. Set
    // in the same round trip as the statement it is for, and gone with the reset after the rent: the pool's other users
    // find the server's own mode. The rest of the mode stays: the driver was told how to quote for it.
    private const string Strictly = "SET sql_mode = CONCAT_WS(',', NULLIF(@@sql_mode, ''), 'STRICT_ALL_TABLES'); ";

    private static readonly UserStatements MySql = new()
    {
        Create = Strictly + "INSERT INTO `tb1` (`name`) VALUES (@name); SELECT LAST_INSERT_ID()",
        FirstIdAndStep = "SELECT LAST_INSERT_ID() AS FirstId, @@auto_increment_increment AS Step",
        Rename = Strictly + "UPDATE `tb1` SET `name` = @name WHERE `id` = @id",
        BeforeCreateAll = Strictly,
        GetToDelete = GetOne + " FOR UPDATE",
        Limits = """
            SELECT c.CHARACTER_MAXIMUM_LENGTH AS MaxLength, @@max_allowed_packet AS MaxPacket
            FROM information_schema.COLUMNS c
            WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME = 'tb1' AND c.COLUMN_NAME = 'name'
            """,
    };

    private static readonly UserStatements Sqlite = new()
    {
        Create = "INSERT INTO `tb1` (`name`) VALUES (@name) RETURNING `id`",
        // One row at a time in SQLite, whose variables are few and whose ids of a statement need not be in order.
        FirstIdAndStep = "SELECT last_insert_rowid() AS FirstId, 1 AS Step",
        Rename = "UPDATE `tb1` SET `name` = @name WHERE `id` = @id",
        // A transaction of SQLite's has the whole database to itself.
        GetToDelete = GetOne,
        // The embedded table is this project's own, and its column has no length that SQLite would hold anybody to.
        Limits = "SELECT 255 AS MaxLength, 1000000 AS MaxPacket",
    };

    public const string GetOne = "SELECT `id`, `name` FROM `tb1` WHERE `id` = @id";

    public const string Delete = "DELETE FROM `tb1` WHERE `id` = @id";

    // What is asked most is fixed, so that its connections are back without a reset: this one, and Get.
    public static readonly FixedSelect List =
        new("SELECT `id`, `name` FROM `tb1` WHERE `id` > @after ORDER BY `id` LIMIT @count");

    private UserStatements()
    {
    }

    /// <summary>Inserts a name and answers with its id.</summary>
    public required string Create { get; init; }

    /// <summary>Gives a user another name.</summary>
    public required string Rename { get; init; }

    /// <summary>What an INSERT for several names begins with.</summary>
    private string BeforeCreateAll { get; init; } = "";

    /// <summary>The id of the first row of the last INSERT, and how far the next lies from it.</summary>
    public required string FirstIdAndStep { get; init; }

    /// <summary>A user, held for the rest of the transaction.</summary>
    public required string GetToDelete { get; init; }

    /// <summary>What a name and a statement may hold at most.</summary>
    public required string Limits { get; init; }

    /// <summary>Users by their ids.</summary>
    public static FixedSelect Get(int ids) => new(
        "SELECT `id`, `name` FROM `tb1` WHERE `id` IN ("
        + string.Join(", ", Enumerable.Range(0, ids).Select(IdParameter)) + ")");

    /// <summary>The name of one of their parameters.</summary>
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
