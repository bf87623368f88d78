using System.Text;
using System.Text.Json;
using UPool.Api.Tests.Hosts;

namespace UPool.Api.Tests.Contract;

/// <summary>
/// The HTTP contract of every host, in memory or on sockets, with fake users or a real database. The host is configured
/// for 50 rows and bodies of 256 KiB.
/// </summary>
public abstract partial class HttpContract
{
    internal static readonly Dictionary<string, string?> Settings = new()
    {
        ["UPool:Http:MaxRows"] = "50",
        ["UPool:Http:MaxBodyBytes"] = "262144",
    };

    private protected abstract HttpClient Client { get; }

    [Fact]
    public async Task Root_Get_IsTheOriginals() =>
        (await Client.CallAsync("GET", "/")).Is(200, """{"code":1,"msg":"API is running"}""");

    [Fact]
    public async Task List_Get_IsInTheEnvelopeInIdOrder()
    {
        long[] ids = await CreateAsync(3);
        Seen seen = await Client.CallAsync("GET", $"/user/list?after={ids[0] - 1}");

        string[] users = [.. ids.Select(static (id, i) => $$"""{"id":{{id}},"name":"user {{i + 1}}"}""")];
        seen.Is(200, $$"""{"code":1,"msg":"ok","data":[{{string.Join(',', users)}}]}""");
    }

    [Fact]
    public async Task List_LimitBelowTheRows_SaysNextAndPagesOn()
    {
        long[] ids = await CreateAsync(5);
        var read = new List<long>();
        long? next = ids[0] - 1;
        while (next is { } after)
        {
            JsonElement page = (await Client.CallAsync("GET", $"/user/list?limit=2&after={after}")).Json;
            read.AddRange(Ids(page));
            next = page.TryGetProperty("next", out JsonElement given) ? given.GetInt64() : null;
            if (next is not null) Assert.Equal(read[^1], next);
        }

        Assert.Equal(ids, read);
    }

    [Fact]
    public async Task List_MoreRowsThanMaxRows_SaysNext()
    {
        long[] ids = await CreateAsync(51);
        JsonElement page = (await Client.CallAsync("GET", $"/user/list?after={ids[0] - 1}")).Json;

        Assert.Equal(50, page.GetProperty("data").GetArrayLength());
        Assert.Equal(ids[49], page.GetProperty("next").GetInt64());
    }

    [Fact]
    public async Task List_NothingAfter_IsAnEmptyArray() =>
        (await Client.CallAsync("GET", $"/user/list?after={long.MaxValue}"))
            .Is(200, """{"code":1,"msg":"ok","data":[]}""");

    [Theory]
    [InlineData("limit=51", "limit must be a whole number from 1 to 50")]
    [InlineData("limit=0", "limit must be a whole number from 1 to 50")]
    [InlineData("limit=-1", "limit must be a whole number from 1 to 50")]
    [InlineData("limit=%2B1", "limit must be a whole number from 1 to 50")]
    [InlineData("limit=1.5", "limit must be a whole number from 1 to 50")]
    [InlineData("limit=ten", "limit must be a whole number from 1 to 50")]
    [InlineData("limit=", "limit must be a whole number from 1 to 50")]
    [InlineData("limit", "limit must be a whole number from 1 to 50")]
    [InlineData("limit=%D9%A3", "limit must be a whole number from 1 to 50")]
    [InlineData("limit=99999999999999999999", "limit must be a whole number from 1 to 50")]
    [InlineData("after=-1", "after must be a whole number from 0 to 9223372036854775807")]
    [InlineData("after=9223372036854775808", "after must be a whole number from 0 to 9223372036854775807")]
    [InlineData("after=x", "after must be a whole number from 0 to 9223372036854775807")]
    [InlineData("limit=1&limit=1", "limit is given more than once")]
    [InlineData("limit=1&LIMIT=2", "limit is given more than once")]
    [InlineData("after=1&after=2", "after is given more than once")]
    public async Task List_WrongQuery_Is400(string query, string message) =>
        (await Client.CallAsync("GET", "/user/list?" + query)).Refuses(400, message);

    [Fact]
    public async Task List_UnknownQueryKey_IsIgnored() =>
        Assert.Equal(200, (await Client.CallAsync("GET", "/user/list?_=1&limit=1")).Status);

    [Fact]
    public async Task User_ThroughItsLife_IsCreatedReadRenamedAndDeleted()
    {
        Seen created = await Client.SendJsonAsync("POST", "/user", """{"name":"Ada"}""");
        long id = created.Id;
        created.Is(201, $$$"""{"code":1,"msg":"ok","data":{"id":{{{id}}},"name":"Ada"}}""");
        Assert.Equal($"/user/{id}", created.Header("Location"));

        string path = created.Header("Location")!;
        (await Client.CallAsync("GET", path))
            .Is(200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{id}}},"name":"Ada"}}""");
        (await Client.SendJsonAsync("PUT", path, """{"name":"Grace"}"""))
            .Is(200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{id}}},"name":"Grace"}}""");
        (await Client.CallAsync("GET", path))
            .Is(200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{id}}},"name":"Grace"}}""");
        (await Client.CallAsync("DELETE", path))
            .Is(200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{id}}},"name":"Grace"}}""");
        (await Client.CallAsync("GET", path)).Refuses(404, "not found");
        (await Client.CallAsync("DELETE", path)).Refuses(404, "not found");
        (await Client.SendJsonAsync("PUT", path, """{"name":"Joan"}""")).Refuses(404, "not found");
    }

    [Fact]
    public async Task Rename_ToTheSameName_IsDone()
    {
        long id = (await CreateAsync(1))[0];

        (await Client.SendJsonAsync("PUT", $"/user/{id}", """{"name":"user 1"}"""))
            .Is(200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{id}}},"name":"user 1"}}""");
    }

    [Theory]
    [InlineData("日本語 ελληνικά")]
    [InlineData("emoji 😀👩‍👩‍👧‍👦")]
    [InlineData("' OR 1=1; DROP TABLE tb1; -- ` \\ % _")]
    [InlineData("<script>&amp;'</script>")]
    [InlineData("a\"b\\c/d\te\nf\u0001\u007F\u0085")]
    [InlineData("e\u0301 \u2028 \uFFFD \uE000")]
    public async Task Name_AnyUnicode_ComesBackAsItWasGiven(string name)
    {
        Seen created = await Client.SendJsonAsync("POST", "/user", $$"""{"name":"{{JsonEncodedText.Encode(name)}}"}""");

        Assert.Equal(201, created.Status);
        Seen read = await Client.CallAsync("GET", $"/user/{created.Id}");
        Assert.Equal(name, read.Json.GetProperty("data").GetProperty("name").GetString());
    }

    [Fact]
    public async Task Name_WithoutControls_IsReadableInTheBody()
    {
        const string Name = "Ünïcode 日本 😀 <b>&' \\\" \\\\ 👍";
        Seen created = await Client.SendJsonAsync("POST", "/user", $$"""{"name":"{{Name}}"}""");

        created.Is(201, $$$"""{"code":1,"msg":"ok","data":{"id":{{{created.Id}}},"name":"{{{Name}}}"}}""");
        Assert.Equal("nosniff", created.Header("X-Content-Type-Options"));
    }

    [Fact]
    public async Task CreateBatch_Thousand_AreCreatedInOrder()
    {
        string[] names = [.. Enumerable.Range(0, 1000).Select(static i => $"batch {i}")];
        Seen seen = await Client.SendJsonAsync("POST", "/user/batch", Batch(names));

        Assert.Equal(201, seen.Status);
        JsonElement[] users = [.. seen.Json.GetProperty("data").EnumerateArray()];
        Assert.Equal(names, users.Select(static user => user.GetProperty("name").GetString()));
        long[] ids = Ids(seen.Json);
        Assert.Equal(ids.Order(), ids);
        Assert.Equal(["code", "msg", "data"], seen.Json.EnumerateObject().Select(static property => property.Name));
    }

    [Fact]
    public async Task CreateBatch_OneWrongName_CreatesNone()
    {
        long last = (await CreateAsync(1))[0];
        Seen seen = await Client.SendJsonAsync("POST", "/user/batch", Batch(["fine", ""]));

        seen.RefusesSaying(400, "name");
        (await Client.CallAsync("GET", $"/user/list?after={last}")).Is(200, """{"code":1,"msg":"ok","data":[]}""");
    }

    [Theory]
    [InlineData("[]", "the body must be an array of 1 to 1000 users")]
    [InlineData("""{"name":"x"}""", "the body must be an array of 1 to 1000 users")]
    [InlineData("null", "the body must be an array of 1 to 1000 users")]
    [InlineData("""[{"name":"x"},3]""", "user 2 of the batch: a user must be an object with a name")]
    [InlineData("""[{"name":"x"},{}]""", "user 2 of the batch: name is missing")]
    [InlineData("""[{"name":null}]""", "user 1 of the batch: name must be a string")]
    [InlineData("""[[[[[[[[[[1]]]]]]]]]]""", "the body is not JSON")]
    public async Task CreateBatch_WrongBody_Is400(string body, string message) =>
        (await Client.SendJsonAsync("POST", "/user/batch", body)).Refuses(400, message);

    [Fact]
    public async Task CreateBatch_ThousandAndOne_Is400() =>
        (await Client.SendJsonAsync("POST", "/user/batch", Batch([.. Enumerable.Repeat("x", 1001)])))
            .Refuses(400, "the body must be an array of 1 to 1000 users");

    public static TheoryData<string, string> WrongUsers => new()
    {
        { "{", "the body is not JSON" },
        { "{\"name\":\"x\"}}", "the body is not JSON" },
        { "{\"name\":\"x\",}", "the body is not JSON" },
        { "{'name':'x'}", "the body is not JSON" },
        { "name=x", "the body is not JSON" },
        { "  ", "the body is not JSON" },
        { "\uFEFF{\"name\":\"x\"}", "the body is not JSON" },
        { "null", "a user must be an object with a name" },
        { "\"x\"", "a user must be an object with a name" },
        { "[{\"name\":\"x\"}]", "a user must be an object with a name" },
        { "{}", "name is missing" },
        { "{\"name\":null}", "name must be a string" },
        { "{\"name\":5}", "name must be a string" },
        { "{\"name\":true}", "name must be a string" },
        { "{\"name\":[\"x\"]}", "name must be a string" },
        { "{\"name\":{\"a\":1}}", "name must be a string" },
        { "{\"Name\":\"x\"}", "a user has no field but name" },
        { "{\"name\":\"x\",\"id\":1}", "a user has no field but name" },
        { "{\"name\":\"x\",\"name\":\"y\"}", "name is given more than once" },
        { "{\"name\":\"\\ud800\"}", "name is not valid Unicode" },
        { "{\"name\":\"\\udc00\\ud800\"}", "name is not valid Unicode" },
        { "{\"\\ud800\":\"x\"}", "name is not valid Unicode" },
    };

    [Theory]
    [MemberData(nameof(WrongUsers))]
    public async Task Create_WrongBody_Is400(string body, string message) =>
        (await Client.SendJsonAsync("POST", "/user", body)).Refuses(400, message);

    [Fact]
    public async Task Rename_WrongBody_Is400AndChangesNothing()
    {
        long id = (await CreateAsync(1))[0];

        (await Client.SendJsonAsync("PUT", $"/user/{id}", """{"name":7}""")).Refuses(400, "name must be a string");
        (await Client.SendJsonAsync("PUT", $"/user/{id}", """{"name":""}""")).RefusesSaying(400, "name");
        (await Client.CallAsync("GET", $"/user/{id}"))
            .Is(200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{id}}},"name":"user 1"}}""");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(256)]
    [InlineData(70_000)]
    public async Task Create_NameOfAWrongLength_Is400(int length) =>
        (await Client.SendJsonAsync("POST", "/user", $$"""{"name":"{{new string('x', length)}}"}"""))
            .RefusesSaying(400, "name");

    [Fact]
    public async Task Create_NameOfTheLongestLength_IsCreated()
    {
        Seen seen = await Client.SendJsonAsync("POST", "/user", $$"""{"name":"{{new string('ü', 255)}}"}""");

        Assert.Equal(201, seen.Status);
    }

    [Fact]
    public async Task Create_MalformedUtf8_Is400() =>
        (await Client.CallAsync("POST", "/user", [.. "{\"name\":\""u8, 0xC3, 0x28, .. "\"}"u8], "application/json"))
            .Refuses(400, "the body is not UTF-8");

    [Theory]
    [InlineData("POST", "/user")]
    [InlineData("POST", "/user/batch")]
    [InlineData("PUT", "/user/1")]
    public async Task Write_EmptyBody_Is400(string method, string path)
    {
        (await Client.CallAsync(method, path)).Refuses(400, "the body is empty");
        (await Client.CallAsync(method, path, [], "application/json")).Refuses(400, "the body is empty");
    }

    [Theory]
    [InlineData(null)]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/jsonp")]
    [InlineData("application/json; charset=utf-16")]
    [InlineData("no type at all")]
    public async Task Create_WrongContentType_Is415(string? type) =>
        (await Client.CallAsync("POST", "/user", "{\"name\":\"x\"}"u8.ToArray(), type))
            .Refuses(415, "Content-Type must be application/json in UTF-8");

    [Theory]
    [InlineData("application/json; charset=utf-8")]
    [InlineData("Application/JSON;charset=\"UTF-8\"")]
    [InlineData("application/vnd.users+json")]
    public async Task Create_AnyJsonContentType_IsCreated(string type) =>
        Assert.Equal(201, (await Client.CallAsync("POST", "/user", "{\"name\":\"x\"}"u8.ToArray(), type)).Status);

    [Fact]
    public async Task Create_CompressedBody_Is415() =>
        (await Client.CallAsync(
            "POST", "/user", "{\"name\":\"x\"}"u8.ToArray(), "application/json", ("Content-Encoding", "gzip")))
            .RefusesSaying(415, "application/json");

    [Fact]
    public async Task Create_BodyAboveTheLimit_Is413()
    {
        byte[] body = Encoding.UTF8.GetBytes($$"""{"name":"{{new string('x', 262_144)}}"}""");

        (await Client.CallAsync("POST", "/user", body, "application/json")).Refuses(413, "the body is too large");
    }

    [Fact]
    public async Task Create_BodyOfUnknownLengthAboveTheLimit_Is413()
    {
        byte[] body = Encoding.UTF8.GetBytes($$"""{"name":"{{new string('x', 262_144)}}"}""");

        (await Client.CallAsync("POST", "/user", body, "application/json", ("Transfer-Encoding", "chunked")))
            .Refuses(413, "the body is too large");
    }

    [Theory]
    [InlineData("abc")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("1.0")]
    [InlineData("1%20")]
    [InlineData("9223372036854775808")]
    [InlineData("%27%20OR%201=1")]
    [InlineData("1%2F2")]
    public async Task User_WrongId_Is400(string id)
    {
        const string Message = "id must be a whole number from 1 to 9223372036854775807";
        (await Client.CallAsync("GET", "/user/" + id)).Refuses(400, Message);
        (await Client.CallAsync("DELETE", "/user/" + id)).Refuses(400, Message);
        (await Client.SendJsonAsync("PUT", "/user/" + id, """{"name":"x"}""")).Refuses(400, Message);
    }

    [Fact]
    public async Task User_IdNobodyHas_Is404() =>
        (await Client.CallAsync("GET", $"/user/{long.MaxValue}")).Refuses(404, "not found");

    [Theory]
    [InlineData("/nothing")]
    [InlineData("/users")]
    [InlineData("/user/1/2")]
    [InlineData("/user/list/x")]
    [InlineData("/health")]
    [InlineData("/upool/nothing")]
    [InlineData("/favicon.ico")]
    public async Task UnknownRoute_Any_Is404(string path)
    {
        (await Client.CallAsync("GET", path)).Refuses(404, "not found");
        (await Client.SendJsonAsync("POST", path, "{}")).Refuses(404, "not found");
    }

    [Theory]
    [InlineData("POST", "/", "GET, HEAD")]
    [InlineData("POST", "/user/list", "GET, HEAD")]
    [InlineData("DELETE", "/user/list", "GET, HEAD")]
    [InlineData("GET", "/user/batch", "POST")]
    [InlineData("PUT", "/user/batch", "POST")]
    [InlineData("GET", "/user", "POST")]
    [InlineData("POST", "/user/1", "DELETE, GET, HEAD, PUT")]
    [InlineData("PATCH", "/user/1", "DELETE, GET, HEAD, PUT")]
    [InlineData("OPTIONS", "/user/1", "DELETE, GET, HEAD, PUT")]
    [InlineData("BREW", "/", "GET, HEAD")]
    [InlineData("DELETE", "/health/live", "GET, HEAD")]
    public async Task UnknownMethod_Any_Is405WithAllow(string method, string path, string allow)
    {
        Seen seen = await Client.CallAsync(method, path);

        seen.Refuses(405, "method not allowed");
        Assert.Equal(allow.Split(", "), seen.Header("Allow")!.Split(',', StringSplitOptions.TrimEntries).Order());
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/user/list?limit=2")]
    [InlineData("/user/9223372036854775807")]
    [InlineData("/user/x")]
    [InlineData("/nothing")]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    public async Task Head_WhereGetWorks_HasGetsHeadersAndNoBody(string path)
    {
        Seen get = await Client.CallAsync("GET", path);
        Seen head = await Client.CallAsync("HEAD", path);

        Assert.Equal((get.Status, ""), (head.Status, head.Body));
        Assert.Equal(get.Header("Content-Type"), head.Header("Content-Type"));
        Assert.Equal(Encoding.UTF8.GetByteCount(get.Body).ToString(), head.Header("Content-Length"));
    }

    [Fact]
    public async Task Route_TrailingSlashOrOtherCase_IsTheSame()
    {
        Assert.Equal(200, (await Client.CallAsync("GET", "/user/list/?limit=1")).Status);
        Assert.Equal(200, (await Client.CallAsync("GET", "/User/List?limit=1")).Status);
    }

    [Fact]
    public async Task Health_OfAStartedProcess_IsWell()
    {
        (await Client.CallAsync("GET", "/health/live")).Is(200, """{"code":1,"msg":"live"}""");
        (await Client.CallAsync("GET", "/health/startup"))
            .Is(200, """{"code":1,"msg":"started","data":{"started":true,"stopping":false}}""");
        (await Client.CallAsync("GET", "/health/ready"))
            .Is(200, """{"code":1,"msg":"ready","data":{"started":true,"stopping":false}}""");
    }

    [Fact]
    public async Task Get_ManyAtOnce_EachHasItsOwnUser()
    {
        long[] ids = await CreateAsync(20);
        (await Client.CallAsync("DELETE", $"/user/{ids[0]}")).Is(
            200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{ids[0]}}},"name":"user 1"}}""");

        Seen[] seen = await Task.WhenAll(
            Enumerable.Range(0, 10 * ids.Length).Select(i => Client.CallAsync("GET", $"/user/{ids[i % ids.Length]}")));

        for (int i = 0; i < seen.Length; i++)
        {
            int user = i % ids.Length;
            if (user == 0)
                seen[i].Refuses(404, "not found");
            else
                seen[i].Is(
                    200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{ids[user]}}},"name":"user {{{user + 1}}}"}}""");
        }
    }

    [Fact]
    public async Task List_ManyAtOnce_EachHasItsOwnPage()
    {
        long[] ids = await CreateAsync(6);
        (int Limit, int From)[] pages =
            [.. Enumerable.Range(0, 60).Select(static i => (Limit: 1 + i % 3, From: i % 5))];

        Seen[] seen = await Task.WhenAll(pages.Select(page =>
            Client.CallAsync("GET", $"/user/list?limit={page.Limit}&after={ids[page.From] - 1}")));

        Assert.Equal(
            pages.Select(page => ids[page.From..Math.Min(ids.Length, page.From + page.Limit)]),
            seen.Select(static reply => Ids(reply.Json)));
    }

    /// <summary>INV-10 from a client's view.</summary>
    [Fact]
    public async Task Read_WhileAWriterRenames_IsNoOlderThanItsArrival()
    {
        const int Renames = 30;
        const int Readers = 4;
        long id = (await CreateAsync(1))[0];
        string[] paths = [$"/user/{id}", $"/user/list?limit=1&after={id - 1}"];
        int written = 0;

        async Task WriteAsync()
        {
            for (int version = 1; version <= Renames; version++)
            {
                Seen seen = await Client.SendJsonAsync("PUT", paths[0], $$"""{"name":"{{version}}"}""");
                Assert.Equal(200, seen.Status);
                Volatile.Write(ref written, version);
            }
        }

        Task writer = WriteAsync();
        async Task ReadAsync(string path)
        {
            do
            {
                int arrival = Volatile.Read(ref written);
                JsonElement data = (await Client.CallAsync("GET", path)).Json.GetProperty("data");
                JsonElement user = data.ValueKind == JsonValueKind.Array ? data[0] : data;
                string name = user.GetProperty("name").GetString()!;
                Assert.InRange(name == "user 1" ? 0 : int.Parse(name), arrival, Renames);
            }
            while (!writer.IsCompleted);
        }

        await Task.WhenAll(
            [writer, .. Enumerable.Range(0, Readers).Select(i => ReadAsync(paths[i % paths.Length]))]);
    }

    [Fact]
    public async Task Any_Reply_NamesNoServer() =>
        Assert.Null((await Client.CallAsync("GET", "/")).Header("Server"));

    private protected async Task<long[]> CreateAsync(int count)
    {
        string[] names = [.. Enumerable.Range(1, count).Select(static i => $"user {i}")];
        Seen seen = await Client.SendJsonAsync("POST", "/user/batch", Batch(names));
        return Ids(seen.Json);
    }

    private static long[] Ids(JsonElement reply) =>
        [.. reply.GetProperty("data").EnumerateArray().Select(static user => user.GetProperty("id").GetInt64())];

    private static string Batch(IEnumerable<string> names) =>
        $"[{string.Join(',', names.Select(static name => $$"""{"name":"{{JsonEncodedText.Encode(name)}}"}"""))}]";
}
