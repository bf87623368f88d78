using System.Globalization;
using System.Net;
using System.Text.Json;

using UPool.Bench.Runner.Load;
using UPool.Bench.Runner.Sides;

namespace UPool.Bench.Runner.Http;

/// <summary>Checks one complete reply of each side before measuring: all must hold the same users. All but the
/// original, whose fields have another order, must reply with identical bytes.</summary>
/// <param name="firstId">The first user of the table.</param>
/// <param name="lastId">The last user; all ids between the two exist.</param>
internal sealed class Probe(int firstId, int lastId)
{
    private const string ListPath = "/user/list";
    private const string UserPath = "/user/";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private string? _body;

    /// <summary>Checks a side and returns the question for it.</summary>
    /// <exception cref="InvalidOperationException">The side's reply is wrong.</exception>
    public async Task<Question> AskAsync(RunningSide side, bool isById)
    {
        string path = isById ? UserPath + firstId.ToString(CultureInfo.InvariantCulture) : ListPath;
        using var client = new HttpClient { BaseAddress = side.Url, Timeout = Patience };
        using HttpResponseMessage reply = await client.GetAsync(new Uri(path, UriKind.Relative));
        string body = await reply.Content.ReadAsStringAsync();
        bool isOriginal = side.Side.Kind == SideKind.Original;
        if (!isOriginal) _body ??= body;
        if (reply.StatusCode != HttpStatusCode.OK || !body.StartsWith(Question.Beginning, StringComparison.Ordinal)
            || !HoldsTheUsers(body, isById) || (!isOriginal && body != _body))
        {
            throw new InvalidOperationException(
                $"{side.Side.Name} replies to GET {path} with {(int)reply.StatusCode} and {body}; "
                + $"the other sides reply: {_body}");
        }

        return isById ? new Question(UserPath, body.Length, (firstId, lastId)) : new Question(path, body.Length);
    }

    private bool HoldsTheUsers(string body, bool isById)
    {
        using JsonDocument document = JsonDocument.Parse(body);
        JsonElement data = document.RootElement.GetProperty("data");
        return isById
            ? Id(data) == firstId
            : data.EnumerateArray().Select(Id).SequenceEqual(Enumerable.Range(firstId, lastId - firstId + 1));
    }

    private static int Id(JsonElement user) => user.GetProperty("id").GetInt32();
}
